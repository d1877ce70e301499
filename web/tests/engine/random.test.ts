// The streams of Python, to the bit.
import { describe, expect, it } from 'vitest'
import { Generator, philox, streamNumber, type Words } from '../../engine/random'
import { DRAWS } from './draws'

const hex = (words: Words): string => words.map((word) => word.toString(16).padStart(8, '0')).join(' ')
const times = <T>(count: number, draw: () => T): T[] => Array.from({ length: count }, draw)

/** Philox4x32-10 with whole numbers of any size, as the paper writes it. */
function reference(counter: Words, key: [number, number]): bigint[] {
  let [r0, l0, r1, l1] = counter.map(BigInt) as [bigint, bigint, bigint, bigint]
  let [k0, k1] = key.map(BigInt) as [bigint, bigint]
  const word = (value: bigint): bigint => BigInt.asUintN(32, value)
  for (let round = 0; round < 10; round++) {
    const [p0, p1] = [r0 * 0xd2511f53n, r1 * 0xcd9e8d57n]
    ;[r0, l0, r1, l1] = [(p1 >> 32n) ^ l0 ^ k0, word(p1), (p0 >> 32n) ^ l1 ^ k1, word(p0)]
    ;[k0, k1] = [word(k0 + 0x9e3779b9n), word(k1 + 0xbb67ae85n)]
  }
  return [r0, l0, r1, l1]
}

it('philox gives the known answers of Random123', () => {
  const ones = 0xffffffff
  expect(hex(philox([0, 0, 0, 0], [0, 0]))).toBe('6627e8d5 e169c58d bc57ac4c 9b00dbd8')
  expect(hex(philox([ones, ones, ones, ones], [ones, ones]))).toBe('408f276d 41c83b0e a20bc7c6 6d5451fd')
  const pi: Words = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344]
  expect(hex(philox(pi, [0xa4093822, 0x299f31d0]))).toBe('d16cfe09 94fdcceb 5001e420 24126ea1')
})

it('philox multiplies all 32 bits of a word', () => {
  const words = Array.from({ length: 400 }, (_, k) => (0x9e3779b1 * (k + 1)) % 2 ** 32)
  for (let k = 0; k + 6 <= words.length; k++) {
    const [counter, key] = [words.slice(k, k + 4) as Words, words.slice(k + 4, k + 6) as [number, number]]
    expect(philox(counter, key).map(BigInt)).toEqual(reference(counter, key))
  }
})

it('streams have the published hashes of FNV-1a', () => {
  const known = { '': 0xcbf29ce484222325n, a: 0xaf63dc4c8601ec8cn, foobar: 0x85944171f73967e8n }
  for (const [name, number] of Object.entries(known)) expect(streamNumber(name)).toBe(number)
})

describe.each(DRAWS.streams)('the stream “$name” of seed $seed', ({ seed, name, ...drawn }) => {
  const generator = (): Generator => new Generator(BigInt(seed), name)
  const count = drawn.words.length

  it('has the words of Python, also beyond block 2^32', () => {
    const near = generator()
    const far = generator()
    far.position = 4 * 2 ** 32 - 3
    expect(times(count, () => near.word())).toEqual(drawn.words)
    expect(times(count, () => far.word())).toEqual(drawn.far)
    near.position = 2
    expect(near.word()).toBe(drawn.words[2])
  })

  it('has the uniform numbers of Python to the bit', () => {
    const own = generator()
    expect(times(count, () => own.uniform())).toEqual(drawn.uniforms)
  })

  it('has the normal numbers of Python within rounding', () => {
    const own = generator()
    for (const expected of drawn.normals)
      expect(Math.abs(own.normal() - expected)).toBeLessThan(1e-14 * (1 + Math.abs(expected)))
  })

  it('has the whole numbers of Python, refusals included', () => {
    for (const { limit, numbers, position } of drawn.below) {
      const own = generator()
      expect(times(count, () => own.below(limit))).toEqual(numbers)
      expect(own.position).toBe(position)
    }
  })

  it('has the permutation of Python', () => {
    expect([...generator().permutation(count)]).toEqual(drawn.permutation)
  })
})

it('a stream of a stream has both names and starts anew', () => {
  const outer = new Generator(5, 'layers.0')
  outer.word()
  const inner = outer.stream('input_weights')
  expect(inner.word()).toBe(new Generator(5n, 'layers.0.input_weights').word())
  expect(new Generator(5).stream('a').name).toBe('a')
})

it('seeds and limits out of range are refused', () => {
  for (const seed of [-1, 1.5, NaN, 2 ** 53, -1n, 1n << 64n])
    expect(() => new Generator(seed)).toThrow('GENERATOR_SEED')
  for (const limit of [0, -1, 1.5, 2 ** 32 + 1, NaN])
    expect(() => new Generator(0).below(limit)).toThrow('GENERATOR_LIMIT')
})
