// Derivatives of operations, activations and steps are those of finite differences, and no operation is without one.
import { describe, expect, it } from 'vitest'
import { readCell } from '../../engine/cell'
import { RULES } from '../../engine/derivatives'
import { ExactRecording } from '../../engine/exact-recording'
import { forwardOf } from '../../engine/forward-derivatives'
import { ACTIVATIONS } from '../../engine/head'
import { ACTIVATION_SLOPES } from '../../engine/head-gradient'
import type { State } from '../../engine/network'
import { OPERATIONS } from '../../engine/operations'
import { productMap } from '../../engine/products'
import { madeNetwork } from './made'

const STEP = 1e-6
const ARGUMENTS = [-2.3, -0.4, 0.7, 1.9]

const difference = (function_: (x: number) => number, x: number): number =>
  (function_(x + STEP) - function_(x - STEP)) / (2 * STEP)

/** Return the derivatives of an operation by its arguments, computed by the forward derivatives of a cell. */
function slopes(kind: string, values: number[]): number[] {
  const drives = values.map((_, k) => ['drive', `x.${k ? 'b' : 'a'}`])
  const tape = { nodes: [...drives, [kind, ...values.keys()]], signals: { h: values.length } }
  const forward = forwardOf(readCell({ name: 'one', title: '', paper: '', tape }))
  const { apply } = OPERATIONS.get(kind)!
  const result = apply(values[0]!, values[1] ?? values[0]!)
  const read = (leaf: string, label: string): Float64Array =>
    Float64Array.of(leaf === 'signal' ? result : values[label === 'x.a' ? 0 : 1]!)
  const places = [...forward.evaluate(1, read).get('h')!]
  return values.map((_, k) => places.find(([{ label }]) => label === `x.${k ? 'b' : 'a'}`)?.[1][0] ?? 0)
}

it('every operation has a derivative by each argument', () => {
  for (const [kind, { arity }] of OPERATIONS) expect(RULES.get(kind)?.partials?.length, kind).toBe(arity)
  for (const [kind, { partials, needs }] of RULES) expect([0, partials.length], kind).toContain(needs.length)
})

describe.each([...OPERATIONS])('%s', (kind, { arity, apply }) => {
  it('has the derivatives of finite differences', () => {
    for (const a of ARGUMENTS)
      for (const b of arity === 2 ? ARGUMENTS.map((x) => x + 0.05) : [a]) {
        const expected = [difference((x) => apply(x, b), a), difference((x) => apply(a, x), b)].slice(0, arity)
        slopes(kind, [a, b].slice(0, arity)).forEach((slope, k) => expect(slope).toBeCloseTo(expected[k]!, 7))
      }
  })
})

it('a jump has the derivative of torch', () => {
  expect(slopes('relu', [0])).toEqual([0])
  expect(slopes('maximum', [0.5, 0.5])).toEqual([0.5, 0.5])
})

it('every activation of the readout has its derivative', () => {
  expect([...ACTIVATION_SLOPES.keys()].sort()).toEqual([...ACTIVATIONS.keys()].sort())
  for (const [name, apply] of ACTIVATIONS)
    for (const x of [...ARGUMENTS, 25])
      expect(ACTIVATION_SLOPES.get(name)!(x, apply(x)), name).toBeCloseTo(difference(apply, x), 6)
})

describe.each(['lstm', 'gru', 'slstm', 'peephole'])('the map of %s', (cell) => {
  it('has the norms of finite differences', () => {
    const network = madeNetwork(cell, 3).toFloat64()
    const { cell: equations, neurons } = network.configuration.layers[0]!
    const recording = new ExactRecording(network, 'abbaab')
    const [sequence] = recording.sequences
    const map = productMap(recording.jacobians(0)[0]!)
    const stateAfter = (step: number): Map<string, Float64Array> =>
      new Map(
        equations.states.map((name) => [
          name,
          Float64Array.from(sequence!.layers[0]!.get(name)!.subarray(step * neurons, (step + 1) * neurons)),
        ]),
      )
    /** The states after step t, as a function of one number of the states after step s. */
    const moved = (
      s: number,
      t: number,
      name: string,
      neuron: number,
      change: number,
    ): ReadonlyMap<string, ArrayLike<number>> => {
      const state = stateAfter(s)
      state.get(name)![neuron]! += change
      const inputs = network.inputs(sequence!.inputs.slice(s + 1, t + 1))
      return network.run(inputs, { state: [state] as State }).state[0]!
    }
    for (const [s, t] of [
      [0, 1],
      [1, 4],
      [0, 5],
    ] as const) {
      const squares = equations.states.map(() => 0)
      for (const name of equations.states)
        for (let neuron = 0; neuron < neurons; neuron++) {
          const [up, down] = [moved(s, t, name, neuron, STEP), moved(s, t, name, neuron, -STEP)]
          equations.states.forEach((to, k) => {
            for (let n = 0; n < neurons; n++) squares[k]! += ((up.get(to)![n]! - down.get(to)![n]!) / (2 * STEP)) ** 2
          })
        }
      const place = t * sequence!.steps + s
      squares.forEach((square, k) => expect(map.byState[k]![place]).toBeCloseTo(Math.log(square) / 2, 6))
      expect(map.norm[place]).toBeCloseTo(Math.log(squares.reduce((sum, square) => sum + square)) / 2, 6)
    }
  })
})
