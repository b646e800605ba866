// A growing buffer of UTF-8 for the two text formats. Knows nothing of what is written.
// Joining strings instead takes more than twice as long for a scrape of 5,000 histograms.

export class ByteWriter {
  private buffer = Buffer.allocUnsafe(65_536);
  private used = 0;

  /** Bytes written so far: where the next one goes. */
  get length(): number {
    return this.used;
  }

  text(text: string): void {
    // A UTF-16 unit takes three bytes at most: a pair takes four together.
    this.reserve(3 * text.length);
    this.used += this.buffer.write(text, this.used);
  }

  /** Copies few bytes: for short fragments a loop is faster than the call of a native copy. */
  bytes(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    for (let i = 0; i < bytes.length; i++) this.buffer[this.used + i] = bytes[i] ?? 0;
    this.used += bytes.length;
  }

  /** Writes again what was written from `start` on, `length` bytes of it. */
  again(start: number, length: number): void {
    this.reserve(length);
    this.buffer.copyWithin(this.used, start, start + length);
    this.used += length;
  }

  /** A whole number, digit by digit. */
  integer(value: number): void {
    if (value < 0 || value > 0x7fff_ffff || !Number.isInteger(value)) {
      this.text(String(value));
      return;
    }
    let digits = 1;
    for (let power = 10; value >= power; power *= 10) digits += 1;
    this.reserve(digits);
    let rest = value;
    for (let i = this.used + digits - 1; i >= this.used; i--) {
      const tenth = (rest / 10) | 0;
      this.buffer[i] = 48 + rest - tenth * 10;
      rest = tenth;
    }
    this.used += digits;
  }

  /** What was written; a view of the buffer, which the writer gives away. */
  finish(): Uint8Array {
    return this.buffer.subarray(0, this.used);
  }

  private reserve(bytes: number): void {
    if (this.used + bytes <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(2 * this.buffer.length, this.used + bytes));
    this.buffer.copy(larger, 0, 0, this.used);
    this.buffer = larger;
  }
}
