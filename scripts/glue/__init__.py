"""What every stage shares: tables, prediction records, label files, generators, atomic writes."""
