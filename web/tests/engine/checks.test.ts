// Operations, activations, equations and the self-check against Python.
import { describe, expect, it } from 'vitest'
import { readCell } from '../../engine/cell'
import { Checker, Equation } from '../../engine/checking'
import { ACTIVATIONS } from '../../engine/head'
import { OPERATIONS } from '../../engine/operations'
import { finished, Recorder, type Sequence } from '../../engine/recording'
import { readTensors } from '../../engine/tensors'
import type { Network } from '../../engine/network'
import { KERNELS } from './engines'
import { type Check, difference, fixture, INDEX, openCase } from './fixtures'

const { metadata, tensors } = readTensors(fixture('checks.bin'))
const { arity, cells, keys } = JSON.parse(metadata['index']!) as {
  arity: Record<string, number>
  cells: Record<string, unknown>
  keys: Record<string, string>
}
const array = (name: string): Float64Array => tensors.get(name)!.data as Float64Array

/** Return the places at which numbers differ by more than a few units in the last place. */
function different(ours: ArrayLike<number>, theirs: ArrayLike<number>): number[] {
  return Array.from(theirs).flatMap((expected, k) => {
    const value = ours[k]!
    return Object.is(value, expected) || Math.abs(value - expected) <= 4e-15 * Math.abs(expected) ? [] : [k]
  })
}

describe('the table of operations', () => {
  it('has those of Python, with their numbers of arguments', () => {
    expect(Object.fromEntries([...OPERATIONS].map(([name, operation]) => [name, operation.arity]))).toEqual(arity)
  })

  it.each(Object.keys(arity))('computes %s', (name) => {
    const [first, second] = [array('grid'), array('second')]
    const ours = Array.from(first, (value, k) => OPERATIONS.get(name)!.apply(value, second[k]!))
    expect(different(ours, array(`operation/${name}`)).map((k) => [first[k], second[k]])).toEqual([])
  })
})

describe('the activations of hidden layers', () => {
  const finite = array('grid').filter(Number.isFinite)

  it('are those of Python', () => {
    const theirs = [...tensors.keys()].filter((name) => name.startsWith('activation/'))
    expect([...ACTIVATIONS.keys()].sort()).toEqual(theirs.map((name) => name.replace('activation/', '')).sort())
  })

  it.each([...ACTIVATIONS.keys()])('computes %s', (name) => {
    const ours = finite.map((value) => ACTIVATIONS.get(name)!(value))
    expect(difference(ours, array(`activation/${name}`))).toBeLessThanOrEqual(1e-15)
  })
})

describe.each(Object.keys(cells))('the cell %s', (name) => {
  const cell = readCell(cells[name])

  it('has the key of Python', () => expect(cell.key).toBe(keys[name]))

  it.each([...cell.signals.keys()])('has the equation of %s, and the effect of rounding on it', (signal) => {
    const equation = new Equation(cell, signal)
    const place = `${name}/${signal}`
    const values = new Map(equation.leaves.map((leaf) => [leaf, array(`${place}/${leaf}`)]))
    expect(difference(equation.evaluate(values, 7), array(`${place}/value`))).toBeLessThanOrEqual(1e-14)
    // Differences of nearly equal numbers: eight digits are lost.
    expect(difference(equation.rounding(values, 7, 2 ** -24), array(`${place}/rounding`))).toBeLessThanOrEqual(1e-13)
  })
})

/** Record and check a text; `holdsDrives`: also the drives, as Python holds them. */
function checked(network: Network, text: string, holdsDrives = true): Sequence[] {
  const recorder = new Recorder(network, () => null, holdsDrives)
  const { sequences } = recorder.record(text)
  finished(recorder.check())
  return sequences
}

describe.each(INDEX.cases.map((about) => [about.case, about] as const))('the self-check of %s', (_, about) => {
  const network = openCase(about, { kernels: KERNELS.native })
  const text = about.traces[0]!.text

  it.each([true, false])('holds, whether the drives are held: %s', (holdsDrives) => {
    for (const { residuals, reduced } of checked(network, text, holdsDrives)) {
      expect(Math.max(...residuals)).toBeLessThan(1e-6)
      expect(reduced.size).toBe(0)
    }
  })

  it('finds a changed number with the residual of Python', () => {
    const wrong = about.checks.flatMap((check: Check) => {
      const [sequence] = checked(network, text)
      const k = network.configuration.names.indexOf(check.layer)
      const { neurons } = network.configuration.layers[k]!
      sequence!.layers[k]!.get(check.name)![check.step * neurons + check.neuron]! += check.delta ?? NaN
      const { residuals } = new Checker(network).check(sequence!, 0)
      const [ours, theirs] = [Math.max(...residuals), check.largest ?? Infinity]
      return ours === theirs || Math.abs(ours - theirs) <= 2e-6 * Math.max(1, theirs) ? [] : [{ check, ours }]
    })
    expect(wrong).toEqual([])
  })
})

it('forgives only what rounding explains', () => {
  const about = INDEX.cases.find(({ case: name }) => name === 'slstm/last-step')!
  const network = openCase(about)
  // Exponential gates of differences of large numbers, whose rounding exceeds the tolerance.
  const { biases, neurons } = network.parameters[0]!
  network.initial[0]!.get('m')!.fill(5e4)
  const drive = network.configuration.layers[0]!.cell.inputDrives.indexOf('i')
  biases.fill(5e4, drive * neurons, (drive + 1) * neurons)
  const [sequence] = checked(network, 'ab月b😀a')
  expect(sequence!.reduced.size).toBeGreaterThan(0)
  expect(Math.max(...sequence!.residuals)).toBeLessThan(1e-5)
  sequence!.layers[0]!.get('i')![7]! += 0.1
  expect(Math.max(...new Checker(network).check(sequence!, 0).residuals)).toBeGreaterThan(0.01)
})

describe.each(['lstm/characters', 'gru/both-ways', 'slstm/numbers'])('the self-check of a long text by %s', (name) => {
  const about = INDEX.cases.find((other) => other.case === name)!
  const text = about.traces[0]!.text.replaceAll('\n', about.case.endsWith('numbers') ? '\n' : ' ').replace(/\n+/g, '\n')

  it.each(['float32', 'float64'] as const)('holds in %s, and from any step on', (precision) => {
    const network = openCase(about, { precision })
    const [sequence] = checked(network, text.repeat(80))
    expect(sequence!.steps).toBeGreaterThan(300)
    expect(Math.max(...sequence!.residuals)).toBeLessThan(precision === 'float32' ? 1e-6 : 1e-13)
    const checker = new Checker(network)
    for (const from of [1, 255, 256, 257, 300, sequence!.steps])
      expect(checker.check(sequence!, from).residuals).toEqual(sequence!.residuals.slice(from))
    const k = network.configuration.layers.length - 1
    const { neurons } = network.configuration.layers[k]!
    sequence!.layers[k]!.get('h')![299 * neurons]! += 0.5
    const { residuals } = checker.check(sequence!, 0)
    expect(residuals.indexOf(Math.max(...residuals.subarray(290, 310)))).toBeGreaterThanOrEqual(298)
  })
})
