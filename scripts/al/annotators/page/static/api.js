// What the page says to the server, and arrays as text.

/**
 * The server said no: its status and message, why in a word, who has the region where someone has
 * it, and which region it was where that was not asked.
 */
export class Refusal extends Error {
  constructor(status, body) {
    super(body.message || `The server answered ${status}.`);
    const { by = "", reason = "", id = null } = body;
    Object.assign(this, { status, by, reason, id });
  }

  /** The region is another's now, or its cycle is over. */
  get lost() {
    return this.status === 404 || (this.status === 409 && this.reason !== "changed");
  }
}

/** No answer came: what is wrong is between here and the server. */
export class Unreached extends Error {}

const RETRY = 400; // ms; a page that is loaded again meets its own lease for a moment

/** The name of this tab, which it keeps when it is loaded again; a copy of a tab gets another. */
function sessionOfTab() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  const fresh = [...random].map((v) => v.toString(16).padStart(2, "0")).join("");
  const session = sessionStorage.getItem("session") || fresh;
  sessionStorage.removeItem("session");
  addEventListener("pagehide", () => sessionStorage.setItem("session", session));
  return session;
}

export class Api {
  constructor(token, annotator) {
    this.session = sessionOfTab();
    this.token = token;
    this.annotator = annotator;
  }

  /** One request; raises Refusal or Unreached. */
  async ask(method, path, body, keepalive = false) {
    const headers = {
      "X-Token": this.token,
      "X-Annotator": encodeURIComponent(this.annotator),
      "X-Session": this.session,
    };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const text = body === undefined ? undefined : JSON.stringify(body);
    const options = { method, headers, body: text, keepalive, cache: "no-store" };
    if (!keepalive) options.signal = AbortSignal.timeout(60000);
    const answer = await fetch(`/api/${path}`, options).catch((error) => {
      throw new Unreached(`The server does not answer (${error.message}).`);
    });
    if (answer.ok) return answer;
    throw new Refusal(answer.status, await answer.json().catch(() => ({})));
  }

  async json(method, path, body) {
    return (await this.ask(method, path, body)).json();
  }

  again = () => this.json("POST", "again", {});
  run = () => this.json("GET", "run");
  cycle = () => this.json("GET", "cycle");
  next = (after, not) => this.json("POST", "next", { after, not });
  proposal = (id) => this.json("GET", `regions/${id}/proposal`);
  draft = (region, body) => this.held("PUT", region, "draft", body);
  done = (region, body) => this.held("POST", region, "done", body);
  skip = (region, body) => this.held("POST", region, "skip", body);
  beat = (region) => this.held("POST", region, "beat", {});

  /**
   * Asks something of a region that this page holds ({id, cycle, draft}). A server that was started
   * again does not know that: the region is opened again, unless someone else was there meanwhile.
   */
  async held(method, { id, cycle, draft }, act, body) {
    const send = () => this.json(method, `regions/${id}/${act}`, { ...body, cycle });
    try {
      return await send();
    } catch (error) {
      if (error.reason !== "closed") throw error;
      const now = await this.open(id);
      const { state, by } = now;
      const drawn = draft !== undefined && draft !== now.draft && !now.own;
      if (drawn || (["done", "skipped"].includes(state) && by !== this.annotator)) {
        const message = `${by || "Someone"} worked on this region meanwhile.`;
        throw new Refusal(409, { message, by, reason: drawn ? "drawn" : state });
      }
      return send();
    }
  }

  /** Opens a region; one that this annotator's page had a moment ago is asked for again. */
  async open(id) {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.json("POST", `regions/${id}/open`, {});
      } catch (error) {
        if (error.status !== 409 || error.by !== this.annotator || attempt === 3) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY));
      }
    }
  }

  /** Gives a region back; goes out even while the page closes. */
  async release(id) {
    await this.ask("POST", `regions/${id}/release`, {}, true).catch(() => {});
  }

  /** A tile of a region's image; ids count anew in each cycle. */
  tile = async ({ id, cycle }, level, row, column) => {
    const place = `regions/${id}/tile/${level}/${row}/${column}?cycle=${cycle}`;
    const answer = await this.ask("GET", place);
    return createImageBitmap(await answer.blob(), { colorSpaceConversion: "none" });
  };

  async thumbnail(id) {
    const answer = await this.ask("GET", `regions/${id}/thumbnail`);
    return URL.createObjectURL(await answer.blob());
  }

  /** A plane of a volume, rows by columns in the order of the array's axes. */
  async slice({ id, cycle }, axis, index) {
    const place = `regions/${id}/slice?axis=${axis}&index=${index}&cycle=${cycle}`;
    const answer = await this.ask("GET", place);
    return new Uint16Array(await answer.arrayBuffer());
  }
}

/** Bytes of base64. */
export function fromBase64(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

/** Base64 of bytes, made outside of the page's own thread. */
export function toBase64(bytes) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(new Blob([bytes]));
  });
}
