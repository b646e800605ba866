// Bounded text: a stream cut into lines, and the beginning of what a process complains about.

/** Hands over complete lines. What is longer than `bytesMax` is left out and counted. */
export class LineSplitter {
  tooLong = 0;
  readonly #bytesMax: number;
  readonly #onLine: (line: string) => void;
  readonly #encoding: 'utf8' | 'latin1';
  #parts: Buffer[] = [];
  #bytes = 0;

  /** `latin1`: each byte is a character, whether they are UTF-8 or not. */
  constructor(
    bytesMax: number,
    onLine: (line: string) => void,
    encoding: 'utf8' | 'latin1' = 'utf8',
  ) {
    this.#bytesMax = bytesMax;
    this.#onLine = onLine;
    this.#encoding = encoding;
  }

  push(chunk: Buffer): void {
    let rest = chunk;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      this.#add(rest.subarray(0, end));
      this.end();
      rest = rest.subarray(end + 1);
    }
    this.#add(rest);
  }

  /** The stream is over: what came after the last newline is a line, too. */
  end(): void {
    const parts = this.#parts;
    const bytes = this.#bytes;
    this.#parts = [];
    this.#bytes = 0;
    if (bytes > this.#bytesMax) this.tooLong++;
    else if (bytes > 0) this.#onLine(Buffer.concat(parts).toString(this.#encoding));
  }

  #add(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#bytes > this.#bytesMax) this.#parts = [];
    else if (part.length > 0) this.#parts.push(part);
  }
}

/** Keeps the beginning, where the cause stands, and says how much it left out. */
export class KeptText {
  readonly #bytesMax: number;
  #text = '';
  #leftOut = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  push(chunk: Buffer): void {
    const room = this.#bytesMax - this.#text.length;
    this.#text += chunk.subarray(0, room).toString();
    this.#leftOut += Math.max(0, chunk.length - room);
  }

  toString(): string {
    return this.#leftOut === 0 ? this.#text : `${this.#text}\n(${this.#leftOut} more bytes)`;
  }
}
