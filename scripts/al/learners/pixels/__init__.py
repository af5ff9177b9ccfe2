"""A classifier of pixels, voxels or RoIs on features that are computed once per dataset."""
