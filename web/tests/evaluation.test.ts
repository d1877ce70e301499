import { describe, expect, it } from 'vitest'
import type { Expression } from '../src/data/expression'
import type { Layer } from '../src/data/run'
import type { Tensor } from '../src/data/safetensors'
import { Trace } from '../src/data/trace'
import { geometry, spotAt } from '../src/draw/geometry'
import { evaluateNeuron } from '../src/model/evaluation'

const op = (operation: string, ...parts: Expression[]): Expression => ({ operation, arguments: parts })
const s = (signal: string): Expression => ({ signal })
const gate = (name: string, squash: string): Expression =>
  op(squash, op('add', { drive: `x.${name}` }, { drive: `u.${name}` }))

const EXPRESSIONS: Record<string, Expression> = {
  i: op(
    'sigmoid',
    op('add', op('add', { drive: 'x.i' }, { drive: 'u.i' }), op('multiply', { parameter: 'p.i' }, { state: 'c' })),
  ),
  f: gate('f', 'sigmoid'),
  g: gate('g', 'tanh'),
  o: gate('o', 'sigmoid'),
  c: op('add', op('multiply', s('f'), { state: 'c' }), op('multiply', s('i'), s('g'))),
  h: op('multiply', s('o'), op('tanh', s('c'))),
}

const LAYER: Layer = {
  name: 'layer0',
  stacked: false,
  reverse: false,
  neurons: 2,
  cell: { name: 'peephole', title: 'Peephole LSTM', paper: '' },
  signals: Object.entries(EXPRESSIONS).map(([name, expression]) => ({
    name,
    title: name,
    range: [null, null],
    formula: '',
    expression,
  })),
  drives: [{ name: 'x.i', title: 'input drive', formula: 'W x + b' }],
  parameters: [{ name: 'p.i', title: 'peephole' }],
}

const STEPS = 12
const STARTS = [0, 5]

/** Two neurons, run by a plain loop; drives are any numbers, because a formula takes them as they are. */
function run(late = 0): Trace {
  const tensors = new Map<string, Tensor>()
  const put = (name: string): Float32Array => {
    const data = new Float32Array(2 * STEPS)
    tensors.set(`layer0.${name}`, { shape: [2, STEPS], data })
    return data
  }
  const sigma = (a: number): number => 1 / (1 + Math.exp(-a))
  const out = Object.fromEntries(Object.keys(EXPRESSIONS).map((name) => [name, put(name)]))
  const drive = Object.fromEntries(
    ['i', 'f', 'g', 'o'].flatMap((k) => [`x.${k}`, `u.${k}`]).map((name) => [name, put(name)]),
  )
  Object.values(drive).forEach((data, k) => data.forEach((_, t) => (data[t] = Math.sin(t * 1.7 + k) * 2)))
  const p = [0.4, -0.7]
  for (let n = 0; n < 2; n++) {
    let c = 0
    for (let t = 0; t < STEPS; t++) {
      const at = n * STEPS + t
      if (STARTS.includes(t)) c = 0
      const sum = (k: string): number => drive[`x.${k}`]![at]! + drive[`u.${k}`]![at]!
      const i = sigma(sum('i') + p[n]! * c)
      const [f, g, o] = [sigma(sum('f')), Math.tanh(sum('g')), sigma(sum('o'))]
      c = f * c + i * g
      for (const [name, value] of Object.entries({ i, f, g, o, c, h: o * Math.tanh(c) })) out[name]![at] = value
    }
  }
  if (late) for (const name of ['i', 'f']) out[name]!.copyWithin(late, 0)
  tensors.set('layer0.p.i', { shape: [2], data: new Float32Array(p) })
  tensors.set('token', { shape: [STEPS], data: new Int32Array(STEPS) })
  tensors.set('start', {
    shape: [STEPS],
    data: Uint8Array.from({ length: STEPS }, (_, t) => Number(STARTS.includes(t))),
  })
  tensors.set('top_token', { shape: [STEPS, 1], data: new Int32Array(STEPS) })
  tensors.set('top_probability', { shape: [STEPS, 1], data: new Float32Array(STEPS) })
  tensors.set('log_probability', { shape: [STEPS], data: new Float32Array(STEPS) })
  const labels = JSON.stringify(Array.from({ length: STEPS }, () => 'a'))
  return new Trace({ metadata: { labels, tolerance: '1e-05' }, tensors })
}

describe('a neuron worked out', () => {
  it('computes every signal again and finds what was recorded, where sequences start too', () => {
    const trace = run()
    for (let row = 0; row < 2; row++)
      for (let step = 0; step < STEPS; step++)
        for (const line of evaluateNeuron(LAYER, trace, row, step).signals) {
          expect(line.agrees, `${line.signal.name} of neuron ${row} at step ${step}`).toBe(true)
          expect(line.recomputed).toBeCloseTo(trace.row(`layer0.${line.signal.name}`, row)![step]!, 5)
        }
  })

  it('notices gates that were recorded one step late', () => {
    const trace = run(1)
    const wrong = Array.from({ length: STEPS }, (_, step) => evaluateNeuron(LAYER, trace, 0, step).signals).flat()
    expect(wrong.filter((line) => !line.agrees && line.signal.name === 'c').length).toBeGreaterThan(STEPS / 2)
    expect(wrong.filter((line) => !line.agrees && line.signal.name === 'g').length).toBe(0)
  })

  it('agrees within the tolerance of the trace only', () => {
    for (const [share, agrees] of [
      [0.5, true],
      [3, false],
    ] as const) {
      const trace = run()
      const cell = trace.row('layer0.c', 0)!
      cell[3] = cell[3]! + share * trace.tolerance * Math.max(1, Math.abs(cell[3]!))
      const evaluated = evaluateNeuron(LAYER, trace, 0, 3).signals.find((line) => line.signal.name === 'c')!
      expect(evaluated.agrees, `${share} times the tolerance`).toBe(agrees)
    }
  })

  it('lists the drives, the parameter and the state that the formulas read', () => {
    const { inputs } = evaluateNeuron(LAYER, run(), 1, 5)
    expect(inputs.map((input) => input.name)).toEqual([
      'x.i',
      'u.i',
      'p.i',
      'c₋₁',
      'x.f',
      'u.f',
      'x.g',
      'u.g',
      'x.o',
      'u.o',
    ])
    expect(inputs.find((input) => input.name === 'c₋₁')!.value).toBe(0)
    expect(inputs.find((input) => input.name === 'p.i')!.value).toBeCloseTo(-0.7, 6)
  })
})

describe('what lies under the pointer', () => {
  const g = geometry(3, [...'aXb'], 100, 0, (text) => text.length * 60)

  it('is the cell whose middle is pointed at, however far it is scrolled', () => {
    for (const [left, top] of [
      [0, 0],
      [500, 333],
    ] as const)
      for (const [row, step] of [
        [30, 40],
        [31, 60],
      ] as const) {
        const x = g.label + (step + 0.5) * g.cell - left
        const y = g.header + row * g.pitch + g.strip / 2 - top
        expect(spotAt(g, 300, 3000, { left, top }, x, y)).toEqual({ part: 'cell', row, step })
      }
  })

  it('is nothing beyond the last row and step', () => {
    const none = { left: 0, top: 0 }
    expect(spotAt(g, 2, 3, none, g.label + 3.5 * g.cell, g.header + 1)).toBeNull()
    expect(spotAt(g, 2, 3, none, g.label + 1, g.header + 2.5 * g.pitch)).toBeNull()
    expect(spotAt(g, 2, 3, none, 5, g.header + 1)).toEqual({ part: 'label', row: 0 })
    expect(spotAt(g, 2, 3, none, g.label + 1, g.predictions.y + 1)).toEqual({ part: 'predictions', step: 0 })
  })
})
