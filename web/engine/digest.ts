// SHA-256 (FIPS 180-4), computed here because the browser's own needs a secure page and answers later.

/** The first 32 bits of the fractional parts of roots of the first primes. */
function fractions(count: number, root: number): Uint32Array {
  const primes: number[] = []
  for (let k = 2; primes.length < count; k++) if (primes.every((prime) => k % prime)) primes.push(k)
  // 32 bits of fraction below at most four bits of whole number: a double has enough.
  return Uint32Array.from(primes, (prime) => Math.floor((prime ** (1 / root) % 1) * 2 ** 32))
}

const ROUNDS = Int32Array.from(fractions(64, 3))
const START = fractions(8, 2)

const rotated = (word: number, bits: number): number => (word >>> bits) | (word << (32 - bits))

/** Takes bytes piece by piece. */
export class Sha256 {
  readonly #state = START.slice()
  readonly #block = new Uint8Array(64)
  readonly #words = new Int32Array(64)
  #filled = 0
  #length = 0

  update(bytes: Uint8Array): this {
    this.#length += bytes.length
    for (let from = 0; from < bytes.length;) {
      const piece = bytes.subarray(from, from + 64 - this.#filled)
      this.#block.set(piece, this.#filled)
      this.#filled += piece.length
      from += piece.length
      if (this.#filled === 64) this.#compress()
    }
    return this
  }

  /** Return 64 hexadecimal digits; nothing can be added afterwards. */
  hex(): string {
    const bits = BigInt(this.#length) * 8n
    const padding = new Uint8Array(((this.#length + 8) & ~63) + 64 - this.#length)
    padding[0] = 0x80
    new DataView(padding.buffer).setBigUint64(padding.length - 8, bits)
    this.update(padding)
    return Array.from(this.#state, (word) => word.toString(16).padStart(8, '0')).join('')
  }

  #compress(): void {
    const words = this.#words
    const view = new DataView(this.#block.buffer)
    for (let k = 0; k < 16; k++) words[k] = view.getInt32(4 * k)
    for (let k = 16; k < 64; k++) {
      const early = words[k - 15]!
      const late = words[k - 2]!
      const first = rotated(early, 7) ^ rotated(early, 18) ^ (early >>> 3)
      const second = rotated(late, 17) ^ rotated(late, 19) ^ (late >>> 10)
      words[k] = words[k - 16]! + first + words[k - 7]! + second
    }
    const state = this.#state
    let a = state[0]! | 0
    let b = state[1]! | 0
    let c = state[2]! | 0
    let d = state[3]! | 0
    let e = state[4]! | 0
    let f = state[5]! | 0
    let g = state[6]! | 0
    let h = state[7]! | 0
    // One assignment a line: swapping all at once would make a list in each of the 64 rounds.
    for (let k = 0; k < 64; k++) {
      const choice = (e & f) ^ (~e & g)
      const sum = (h + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) + choice + ROUNDS[k]! + words[k]!) | 0
      const majority = (a & b) ^ (a & c) ^ (b & c)
      const other = ((rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + majority) | 0
      h = g
      g = f
      f = e
      e = (d + sum) | 0
      d = c
      c = b
      b = a
      a = (sum + other) | 0
    }
    state[0]! += a
    state[1]! += b
    state[2]! += c
    state[3]! += d
    state[4]! += e
    state[5]! += f
    state[6]! += g
    state[7]! += h
    this.#filled = 0
  }
}
