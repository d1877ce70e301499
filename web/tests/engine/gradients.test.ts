// Gradients of the engine are those of Python: maps, connections and chains of every cell, in float64 and on the wire.
import { describe, expect, it } from 'vitest'
import { saliencyOf } from '../../engine/backpropagation'
import { chainOf, type ChainRequest } from '../../engine/chain'
import { ExactRecording } from '../../engine/exact-recording'
import { encodeConnections, encodeMap } from '../../engine/gradient-calls'
import { influenceOf } from '../../engine/influence'
import type { Jacobians, Term } from '../../engine/jacobians'
import { Network } from '../../engine/network'
import { productMap } from '../../engine/products'
import { readTensors, type Tensor } from '../../engine/tensors'
import { type WeightPaths, weightPathsOf, type WeightPathsRequest } from '../../engine/weight-paths'
import { fixture } from './fixtures'

interface Case {
  case: string
  network: unknown
  text: string
  layers: string[]
  paths: { request: WeightPathsRequest; answer: WeightPaths & { autograd: number } }[]
  chains: { request: ChainRequest; answer: { titles?: unknown } & Record<string, unknown> }[]
}

const { metadata, tensors } = readTensors(fixture('gradients.bin'))
const CASES = JSON.parse(metadata['index']!) as Case[]

function bytesOf(name: string): ArrayBuffer {
  return (tensors.get(name)!.data as Uint8Array<ArrayBuffer>).slice().buffer
}

const recordingOf = (about: Case): ExactRecording =>
  new ExactRecording(Network.open(about.network, bytesOf(`${about.case}/weights`)).toFloat64(), about.text)

const numbersOf = (name: string): Float64Array => tensors.get(name)!.data as Float64Array

/** Return the places where numbers differ by more than a share of their size; NaN and infinity must be equal. */
function wrong(values: ArrayLike<number>, expected: ArrayLike<number>, share = 1e-9, least = 1e-14): string[] {
  if (values.length !== expected.length) return [`${values.length} numbers, not ${expected.length}`]
  const found: string[] = []
  for (let k = 0; k < expected.length; k++) {
    const [a, b] = [values[k]!, expected[k]!]
    if (!Object.is(a, b) && a !== b && !(Math.abs(a - b) <= share * Math.abs(b) + least)) found.push(`${k}: ${a}, ${b}`)
  }
  return found.slice(0, 5)
}

/** Return for every step whether a term is only rounding, so that its share is rounding as well. */
function unclearSteps({ steps, neurons }: Jacobians, { factors }: Term): boolean[] {
  return Array.from(
    { length: steps },
    (_, t) => Math.hypot(...factors.subarray(t * neurons, (t + 1) * neurons)) < 1e-14,
  )
}

/** Compare an answer with that of the local server: shapes, types, metadata, and numbers in float32. */
function compareAnswers(ours: ArrayBuffer, theirs: ArrayBuffer, unclear: boolean[] = []): void {
  const [own, expected] = [readTensors(ours), readTensors(theirs)]
  expect([...own.tensors.keys()].sort()).toEqual([...expected.tensors.keys()].sort())
  for (const [name, { shape, data }] of expected.tensors) {
    const tensor = own.tensors.get(name) as Tensor
    expect([name, tensor.shape, tensor.data.constructor]).toEqual([name, shape, data.constructor])
    const known = (values: Tensor['data']): number[] =>
      Array.from(values as Float32Array, (value, k) => (name === 'shares' && unclear[k] ? NaN : value))
    expect(wrong(known(tensor.data), known(data), 1e-6, 1e-12), name).toEqual([])
  }
  const parsed = (texts: Record<string, string>): Record<string, unknown> =>
    Object.fromEntries(Object.entries(texts).map(([name, value]) => [name, JSON.parse(value)]))
  const { exponent, ...about } = parsed(own.metadata)
  const { exponent: expectedExponent, ...expectedAbout } = parsed(expected.metadata)
  expect(about).toEqual(expectedAbout)
  if (typeof expectedExponent === 'number')
    expect(wrong([exponent as number], [expectedExponent], 1e-9, 1e-12)).toEqual([])
  else expect(exponent).toEqual(expectedExponent)
}

/** Replace numbers by a mark, and return them apart: structures are compared exactly, numbers nearly. */
function apart(value: unknown, numbers: number[]): unknown {
  if (typeof value === 'number' && !Number.isInteger(value)) {
    numbers.push(value)
    return 'number'
  }
  if (Array.isArray(value)) return value.map((entry) => apart(entry, numbers))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, apart(entry, numbers)]))
}

it('there is a case for every cell in every shape', () => {
  expect(CASES.length).toBeGreaterThanOrEqual(5 * 12)
})

describe.each(CASES.map((about) => [about.case, about] as const))('%s', (name, about) => {
  const recording = recordingOf(about)
  const { network, sequences } = recording

  it.runIf(about.layers.length)('has the map of Python', () => {
    for (const layer of about.layers) {
      const jacobians = recording.jacobians(recording.layer(layer))
      jacobians.forEach((own, number) => {
        const { byState, ...sizes } = productMap(own)
        const place = `${name}/${layer}/${number}`
        for (const [size, values] of Object.entries(sizes))
          expect(wrong(values, numbersOf(`${place}/${size}`)), `${place}/${size}`).toEqual([])
        own.states.forEach((state, k) =>
          expect(wrong(byState[k]!, numbersOf(`${place}/norm.${state}`)), state).toEqual([]),
        )
        const shared = own.shares()
        const unclear = [...shared.keys()].flatMap((term) => unclearSteps(own, term))
        const known = (values: Float64Array): Float64Array => values.map((value, k) => (unclear[k] ? NaN : value))
        const shares = Float64Array.from([...shared.values()].flatMap((share) => [...share]))
        expect(wrong(known(shares), known(numbersOf(`${place}/shares`))), `${place}/shares`).toEqual([])
      })
      const all = recording.jacobians(recording.layer(layer))
      const unclear = [...all[0]!.shares().keys()].flatMap((_, k) =>
        all.flatMap((own) => unclearSteps(own, [...own.shares().keys()][k]!)),
      )
      compareAnswers(encodeMap(recording, layer), bytesOf(`${name}/${layer}/map`), unclear)
    }
  })

  it('has the connections of Python', () => {
    const places = Array.from(tensors.get(`${name}/places`)!.data, Number)
    const { losses, norms } = saliencyOf(network, sequences[0]!, places)
    expect(wrong(losses, numbersOf(`${name}/losses`))).toEqual([])
    expect(wrong(norms, numbersOf(`${name}/inputs`))).toEqual([])
    compareAnswers(encodeConnections(recording, 'gradient', 0), bytesOf(`${name}/gradient`))
    if (!tensors.has(`${name}/change`)) return
    const steps = sequences[0]!.steps
    const [divergence, distances] = [numbersOf(`${name}/divergence`), tensors.get(`${name}/distances`)!.data]
    const expected = new Float64Array(steps * steps).fill(NaN)
    for (let step = 0; step < steps; step++)
      Array.from(distances, Number).forEach((distance, k) => {
        if (step + distance < steps) expected[(step + distance) * steps + step] = divergence[step * steps + k]!
      })
    expect(wrong(influenceOf(network, sequences[0]!), expected, 1e-9, 1e-13)).toEqual([])
    compareAnswers(encodeConnections(recording, 'change', 0), bytesOf(`${name}/change`))
  })

  it.runIf(about.chains.length)('has the chains of Python', () => {
    for (const { request, answer } of about.chains) {
      const [own, expected]: [number[], number[]] = [[], []]
      const { titles, ...values } = answer
      expect(apart(chainOf(recording, request), own)).toEqual(apart(values, expected))
      expect(wrong(own, expected)).toEqual([])
    }
  })

  it.runIf(about.paths.length)('has the paths of every weight of Python', () => {
    for (const { request, answer } of about.paths) {
      const [own, expected]: [number[], number[]] = [[], []]
      const { differences, digits, ...paths } = weightPathsOf(recording, request)
      const { autograd, ...values } = answer
      // The page has words of its own for the gradient of the loss.
      const derived = values.columns.derived.map((row, k) =>
        row.map((formula, j) => (values.columns.names[k]![j]!.startsWith('∂L/') ? '' : formula)),
      )
      expect(apart(paths, own)).toEqual(apart({ ...values, columns: { ...values.columns, derived } }, expected))
      expect(wrong(own, expected)).toEqual([])
      // Finite differences know neither the equations nor their derivatives.
      expect(wrong([differences], [autograd], 1e-7, 1e-11)).toEqual([])
      expect(digits).toBeGreaterThanOrEqual(Math.abs(autograd) > 1e-4 ? 7 : 0)
    }
  })
})
