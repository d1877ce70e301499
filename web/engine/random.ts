// Random numbers that depend on a seed, a stream and a position alone: the twin of src/gatescope/generator.py.
//
// Words, uniform numbers, whole numbers and permutations are those of Python to the bit. Normal numbers agree to about
// 1e-15, because logarithm and cosine are rounded by the library of the machine.
//
// Source: J. Salmon, M. Moraes, R. Dror and D. Shaw, Parallel random numbers: as easy as 1, 2, 3, SC '11 (2011).
import { EngineError } from './errors'

export type Words = [number, number, number, number]

const ROUNDS = 10
const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const
const KEY_STEPS = [0x9e3779b9, 0xbb67ae85] as const // added to the two words of the key after each round
const LIMIT = 2 ** 32
const WORD = 0xffffffffn

/** Return the four words of a counter, whose lowest word comes first: Philox4x32-10. */
export function philox(counter: Words, key: readonly [number, number]): Words {
  let [x0, x1, x2, x3] = counter
  let [key0, key1] = key
  for (let round = 0; round < ROUNDS; round++) {
    const first = highWord(x0, MULTIPLIERS[0])
    const second = highWord(x2, MULTIPLIERS[1])
    const low0 = Math.imul(x0, MULTIPLIERS[0])
    const low2 = Math.imul(x2, MULTIPLIERS[1])
    x0 = (second ^ x1 ^ key0) >>> 0
    x2 = (first ^ x3 ^ key1) >>> 0
    x1 = low2 >>> 0
    x3 = low0 >>> 0
    key0 = (key0 + KEY_STEPS[0]) >>> 0
    key1 = (key1 + KEY_STEPS[1]) >>> 0
  }
  return [x0, x1, x2, x3]
}

/** Return the upper 32 bits of the product of two words. */
function highWord(a: number, b: number): number {
  const [a0, a1, b0, b1] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16]
  const middle = a1 * b0 + ((a0 * b0) >>> 16)
  return a1 * b1 + (middle >>> 16) + ((a0 * b1 + (middle & 0xffff)) >>> 16)
}

/** Return the 64 bits of a stream: the hash FNV-1a (Fowler, Noll and Vo) of the UTF-8 bytes of its name. */
export function streamNumber(name: string): bigint {
  let number = 0xcbf29ce484222325n
  for (const byte of new TextEncoder().encode(name))
    number = BigInt.asUintN(64, (number ^ BigInt(byte)) * 0x100000001b3n)
  return number
}

/** A stream of random numbers. Its seed is a whole number from 0 to 2^64 - 1; beyond 2^53 it must be a bigint. */
export class Generator {
  readonly seed: bigint
  readonly #key: readonly [number, number]
  readonly #stream: readonly [number, number]
  #words: Words = [0, 0, 0, 0]
  #block = -1 // the block of these words
  /** The number of 32-bit words drawn so far. */
  position = 0

  constructor(
    seed: number | bigint,
    readonly name = '',
  ) {
    if (typeof seed === 'bigint' ? seed < 0n || seed >= 1n << 64n : !Number.isSafeInteger(seed) || seed < 0)
      throw new EngineError('GENERATOR_SEED', { seed: String(seed) })
    this.seed = BigInt(seed)
    this.#key = halves(this.seed)
    this.#stream = halves(streamNumber(name))
  }

  /** Return the stream with the name of this one, a full stop and `name`; it starts at its first word. */
  stream(name: string): Generator {
    return new Generator(this.seed, this.name ? `${this.name}.${name}` : name)
  }

  /** Draw a whole number of 32 bits. */
  word(): number {
    const place = this.position % 4
    const block = (this.position - place) / 4
    if (block !== this.#block) {
      this.#words = philox([block % LIMIT, Math.floor(block / LIMIT), ...this.#stream], this.#key)
      this.#block = block
    }
    this.position++
    return this.#words[place]!
  }

  /** Draw a multiple of 2^-53 from [0, 1): 27 bits of one word, then 26 of the next. */
  uniform(): number {
    const first = this.word() >>> 5
    return (first * 2 ** 26 + (this.word() >>> 6)) / 2 ** 53
  }

  /** Draw a normally distributed number with mean 0 and variance 1, by Box and Muller, from two uniform numbers. */
  normal(): number {
    const u = this.uniform()
    return Math.sqrt(-2 * Math.log1p(-u)) * Math.cos(2 * Math.PI * this.uniform())
  }

  /** Draw a whole number from 0 to limit - 1, all equally probable; the limit is at most 2^32. */
  below(limit: number): number {
    if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT) throw new EngineError('GENERATOR_LIMIT', { limit })
    const end = LIMIT - (LIMIT % limit)
    let word = this.word()
    while (word >= end) word = this.word() // beyond the largest multiple of the limit
    return word % limit
  }

  /** Draw an order of 0 to count - 1: place k, from the last down to 1, is exchanged with one of 0 to k. */
  permutation(count: number): Uint32Array {
    const order = Uint32Array.from({ length: count }, (_, k) => k)
    for (let place = count - 1; place > 0; place--) {
      const other = this.below(place + 1)
      ;[order[place], order[other]] = [order[other]!, order[place]!]
    }
    return order
  }
}

function halves(number: bigint): [number, number] {
  return [Number(number & WORD), Number(number >> 32n)]
}
