// The gradients of every weight against torch's autograd and finite differences, and Adam against torch.optim.Adam.
import { beforeAll, describe, expect, it } from 'vitest'
import { type Precision, type Values, zeros } from '../../../engine/arrays'
import { readConfiguration } from '../../../engine/configuration'
import type { EngineName } from '../../../engine/layer'
import type { Kernels } from '../../../engine/kernels'
import { Adam, clipNorm } from '../../../engine/training/adam'
import { crossEntropy } from '../../../engine/training/loss'
import { type Steps, TrainedNetwork } from '../../../engine/training/network-pass'
import { Weights } from '../../../engine/training/weights'
import { loadPlain, numbers } from '../kernel-problems'
import { arrayOf, INDEX, namesBelow } from './fixtures'

let kernels: Kernels
beforeAll(async () => {
  kernels = await loadPlain()
})

interface Problem {
  network: TrainedNetwork
  batch: Steps
  targets: Int32Array
}

/** Return the network, the batch and the targets of a case that Python wrote. */
function problem({ case: name, network }: (typeof INDEX.gradients)[number], engine: EngineName): Problem {
  const configuration = readConfiguration(network)
  const weights = new Map(
    namesBelow(`${name}/weights/`).map((weight) => [weight, arrayOf(`${name}/weights/${weight}`).data as Values]),
  )
  const trained = new TrainedNetwork(configuration, new Weights(configuration, 'float64', weights), kernels, engine)
  const tokens = arrayOf(`${name}/tokens`)
  const all = arrayOf(`${name}/targets`).data as Int32Array
  const places = Int32Array.from(all.keys()).filter((place) => all[place]! >= 0)
  const [steps, rows] = tokens.shape as [number, number]
  const lengths = Int32Array.from(INDEX.lengths)
  const batch = { steps, rows, ids: tokens.data as Int32Array, lengths, places }
  return { network: trained, batch, targets: all.filter((target) => target >= 0) }
}

/** Return the sum of the loss; write the gradients of its mean if they are wanted. */
function loss({ network, batch, targets }: Problem, backward: boolean): number {
  const pass = network.run(batch, null, backward)
  const nats = crossEntropy(pass.logits, { ids: targets }, network.configuration.predicted)
  if (backward) pass.backward(pass.logits)
  pass.free()
  return nats
}

const CASES = INDEX.gradients.flatMap((about) => {
  const engines: EngineName[] = about.case.startsWith('own/') ? ['plain'] : ['native', 'plain']
  return engines.map((engine) => ({ ...about, about, engine }))
})

describe.each(CASES)('$case, $engine', ({ about, engine }) => {
  it('has the loss and the gradients of autograd', () => {
    const checked = problem(about, engine)
    const { weights } = checked.network
    expect(loss(checked, true)).toBeCloseTo(about.loss, 10)
    expect(weights.names.length).toBeGreaterThan(5)
    for (const name of weights.names) {
      const expected = arrayOf(`${about.case}/gradients/${name}`).data as Float64Array
      const scale = Math.max(1e-3, ...expected.map(Math.abs))
      const gradient = weights.gradient(name)
      expect(gradient.length, name).toBe(expected.length)
      expected.forEach((value, k) => expect(Math.abs(gradient[k]! - value), name).toBeLessThan(1e-11 * scale))
    }
  })

  // The plain engine has them as well, because both have those of autograd.
  if (engine === 'plain' && !about.case.startsWith('own/')) return

  it('has the gradients of finite differences', () => {
    const checked = problem(about, engine)
    const { weights } = checked.network
    loss(checked, true)
    const gradients = weights.gradients.slice()
    const scale = Math.max(...gradients.map(Math.abs))
    const count = checked.targets.length
    const step = 1e-5 // small, because relu has a kink
    for (let k = 0; k < gradients.length; k++) {
      const value = weights.values[k]!
      const at = (offset: number): number => {
        weights.values[k] = value + offset * step
        return loss(checked, false)
      }
      const difference = (at(1) - at(-1)) / (2 * step * count)
      weights.values[k] = value
      expect(Math.abs(gradients[k]! - difference)).toBeLessThan(1e-6 * scale)
    }
  })
})

it('targets that are probabilities have the gradient of finite differences', () => {
  const next = numbers(3)
  const [places, size] = [4, 3]
  const logits = Float64Array.from({ length: places * size }, () => 2 * next())
  const probabilities = Float64Array.from([0.5, 0.5, 0, 0, 0, 1, 0.2, 0.3, 0.5, 1, 0, 0])
  const gradient = logits.slice()
  const nats = crossEntropy(gradient, { probabilities }, size)
  const oneHot = { ids: Int32Array.of(2, 0) }
  expect(nats).toBeGreaterThan(0)
  expect(crossEntropy(logits.slice(3, 6), { ids: oneHot.ids.slice(0, 1) }, size)).toBeCloseTo(
    crossEntropy(logits.slice(3, 6), { probabilities: probabilities.slice(3, 6) }, size),
    12,
  )
  for (let k = 0; k < logits.length; k++) {
    const at = (offset: number): number =>
      crossEntropy(
        logits.map((value, j) => value + (j === k ? offset : 0)),
        { probabilities },
        size,
      )
    expect(gradient[k]).toBeCloseTo((at(1e-5) - at(-1e-5)) / (2e-5 * places), 8)
  }
})

describe.each([
  ['float32', 2e-7],
  ['float64', 1e-14],
] as const)('Adam in %s', (precision: Precision, tolerance) => {
  it('makes the updates of torch', () => {
    const values = (name: string): Values => arrayOf(`adam/${precision}/${name}`).data as Values
    const weights = values('start').slice()
    const adam = new Adam(weights.length, precision)
    for (let update = 0; update < 3; update++) {
      const gradient = values(`gradient${update}`).slice()
      const norm = (arrayOf(`adam/${precision}/norm${update}`).data as Float64Array)[0]!
      expect(clipNorm(gradient, INDEX.clip) / norm).toBeCloseTo(1, 6)
      const clipped = values(`clipped${update}`)
      clipped.forEach((value, k) => expect(Math.abs(gradient[k]! - value)).toBeLessThanOrEqual(10 * tolerance))
      adam.update(weights, gradient, INDEX.rate / (update + 1))
      const expected = values(`after${update}`)
      expected.forEach((value, k) =>
        expect(Math.abs(weights[k]! - value)).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(value))),
      )
    }
  })
})

it('a gradient within the norm is not scaled, and one of 0 stays 0', () => {
  const small = Float64Array.of(0.3, -0.4)
  expect(clipNorm(small, 1)).toBeCloseTo(0.5, 15)
  expect([...small]).toEqual([0.3, -0.4])
  const none = zeros('float32', 3)
  expect(clipNorm(none, 1)).toBe(0)
  expect([...none]).toEqual([0, 0, 0])
})
