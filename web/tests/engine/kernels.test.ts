// The kernels against steps written out here in double precision, finite differences, and laws of every recurrent layer.
import { beforeAll, describe, expect, it } from 'vitest'
import { BUILTIN_CELLS } from '../../engine/builtin-cells'
import { EngineError } from '../../engine/errors'
import {
  type Block,
  type ForwardRequest,
  type Kernels,
  type Layer,
  loadKernels,
  type Numbers,
} from '../../engine/kernels'
import { array, BUILDS, cellNamed, numbers, plainBytes, problem, relaxedBytes } from './kernel-problems'

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

/** Return W[k] · x + b[k] for one drive of one neuron. */
function drive(request: Layer<Numbers, Int32Array>, k: number, n: number, x: Numbers, at: number): number {
  const { inputs: I, neurons: N, weights } = request
  let sum = weights.biases[k * N + n]!
  for (let i = 0; i < I; i++) sum += weights.input[(k * N + n) * I + i]! * x[at + i]!
  return sum
}

function recurrent(request: Layer<Numbers, Int32Array>, k: number, n: number, h: ArrayLike<number>): number {
  const { neurons: N, weights } = request
  let sum = 0
  for (let m = 0; m < N; m++) sum += weights.recurrent[(k * N + n) * N + m]! * h[m]!
  return sum
}

/** One row of an LSTM (Hochreiter and Schmidhuber 1997; Gers et al. 2000), gates i f g o: [h, c] of each step. */
function lstmRow(request: Layer<Numbers, Int32Array>, row: number): { h: number[][]; c: number[][]; f: number[][] } {
  const { steps: T, rows: B, inputs: I, neurons: N } = request
  let h = Array.from({ length: N }, (_, n) => request.initial!['h']![row * N + n]!)
  let c = Array.from({ length: N }, (_, n) => request.initial!['c']![row * N + n]!)
  const all = { h: [] as number[][], c: [] as number[][], f: [] as number[][] }
  for (let t = 0; t < T; t++) {
    const sums = [0, 1, 2, 3].map((k) =>
      h.map((_, n) => drive(request, k, n, request.vectors!, (t * B + row) * I) + recurrent(request, k, n, h)),
    )
    const [i, f, g, o] = sums as [number[], number[], number[], number[]]
    c = c.map((value, n) => sigmoid(f[n]!) * value + sigmoid(i[n]!) * Math.tanh(g[n]!))
    h = c.map((value, n) => sigmoid(o[n]!) * Math.tanh(value))
    all.h.push(h)
    all.c.push(c)
    all.f.push(f.map(sigmoid))
  }
  return all
}

/** One row of a GRU (Cho et al. 2014, with the reset gate after the product as in cuDNN), gates r z n. */
function gruRow(request: Layer<Numbers, Int32Array>, row: number): number[][] {
  const { steps: T, rows: B, inputs: I, weights } = request
  const N = request.neurons
  let h = Array.from({ length: N }, (_, n) => request.initial!['h']![row * N + n]!)
  const all: number[][] = []
  for (let t = 0; t < T; t++) {
    const at = (t * B + row) * I
    const x = [0, 1, 2].map((k) => h.map((_, n) => drive(request, k, n, request.vectors!, at)))
    const u = [0, 1, 2].map((k) => h.map((_, n) => recurrent(request, k, n, h)))
    h = h.map((before, n) => {
      const r = sigmoid(x[0]![n]! + u[0]![n]!)
      const z = sigmoid(x[1]![n]! + u[1]![n]!)
      const candidate = Math.tanh(x[2]![n]! + r * (u[2]![n]! + weights.neuron[n]!))
      return (1 - z) * candidate + z * before
    })
    all.push(h)
  }
  return all
}

/** The largest difference of a signal from rows that were computed one after the other. */
function apart(values: Numbers, rows: number[][][], B: number, N: number): number {
  let worst = 0
  rows.forEach((steps, b) =>
    steps.forEach((row, t) =>
      row.forEach((value, n) => {
        const difference = Math.abs(values[(t * B + b) * N + n]! - value)
        worst = difference <= worst ? worst : difference // NaN is the largest
      }),
    ),
  )
  return worst
}

const SIZES = { steps: 9, rows: 3, inputs: 5, neurons: 11 }
const TOLERANCES = { float32: 2e-6, float64: 1e-14 } as const
const PRECISIONS = ['float32', 'float64'] as const

describe.each(BUILDS)('the %s build', (_, load) => {
  let kernels: Kernels
  beforeAll(async () => {
    kernels = await load()
  })

  describe('a forward pass', () => {
    it('carries NaN into the row where it stands, and no other', () => {
      const request = problem(cellNamed('lstm'), 'float32', SIZES)
      request.vectors[5] = NaN // row 1
      const h = kernels.forward({ ...request, keep: ['h'] }).signals['h']!
      expect(Array.from(h.subarray(0, 33), Number.isNaN)).toEqual(Array.from({ length: 33 }, (_, k) => k >= 11 && k < 22)) // prettier-ignore
    })

    it.each(PRECISIONS)('of an LSTM equals its equations in %s', (precision) => {
      const request = { ...problem(cellNamed('lstm'), precision, SIZES), keep: ['f', 'c', 'h'] }
      const result = kernels.forward(request)
      const rows = [0, 1, 2].map((row) => lstmRow(request, row))
      for (const name of ['f', 'c', 'h'] as const)
        expect(apart(result.signals[name]!, rows.map((row) => row[name]), 3, 11)).toBeLessThan(TOLERANCES[precision]) // prettier-ignore
      expect(Array.from(result.final['c']!)).toEqual(Array.from(result.signals['c']!.subarray(-33)))
    })

    it.each(PRECISIONS)('of a GRU equals its equations in %s', (precision) => {
      const request = { ...problem(cellNamed('gru'), precision, SIZES), keep: ['h'] }
      const rows = [0, 1, 2].map((row) => gruRow(request, row))
      expect(apart(kernels.forward(request).signals['h']!, rows, 3, 11)).toBeLessThan(TOLERANCES[precision])
    })

    it('reads symbols as one-hot vectors, unknown ones as zeros', () => {
      const request = problem(cellNamed('lstm'), 'float64', { ...SIZES, rows: 1 })
      const ids = Int32Array.from([0, 4, 2, -1, 3, 5, 1, 1, 0])
      const vectors = new Float64Array(45)
      ids.forEach((id, t) => id >= 0 && id < 5 && (vectors[t * 5 + id] = 1))
      const byVectors = kernels.forward({ ...request, vectors, keep: ['h'] }).signals['h']!
      const byIds = kernels.forward({ ...request, vectors: null, ids, keep: ['h'] }).signals['h']!
      byIds.forEach((value, k) => expect(value).toBeCloseTo(byVectors[k]!, 14))
    })

    it('in reverse equals the forward pass of the reversed inputs', () => {
      const request = problem(cellNamed('lstm'), 'float64', { ...SIZES, rows: 1 })
      const backwards = request.vectors.map((_, k) => request.vectors[(8 - Math.floor(k / 5)) * 5 + (k % 5)]!)
      const reversed = kernels.forward({ ...request, reverse: true, keep: ['h'] }).signals['h']!
      const plain = kernels.forward({ ...request, vectors: backwards, keep: ['h'] }).signals['h']!
      for (let t = 0; t < 9; t++)
        expect(reversed.subarray(t * 11, t * 11 + 11)).toEqual(plain.subarray((8 - t) * 11, (8 - t) * 11 + 11))
    })

    it('freezes the state of a row after its last step', () => {
      const request = problem(cellNamed('lstm'), 'float32', SIZES)
      const short = { ...request, lengths: Int32Array.from([9, 4, 0]), keep: ['h'] }
      const { signals, final } = kernels.forward(short)
      const all = kernels.forward({ ...request, keep: ['h'] }).signals['h']!
      const row = (values: Numbers, t: number, b: number): number[] => [...values.subarray((t * 3 + b) * 11, (t * 3 + b + 1) * 11)] // prettier-ignore
      expect(row(signals['h']!, 3, 1)).toEqual(row(all, 3, 1))
      expect(row(signals['h']!, 4, 1)).toEqual(new Array(11).fill(0))
      expect(row(final['h']!, 0, 1)).toEqual(row(all, 3, 1))
      expect(row(final['h']!, 0, 2)).toEqual(row(request.initial['h']!, 0, 2))
    })

    it('changes a signal by scale and shift', () => {
      const request = problem(cellNamed('lstm'), 'float64', SIZES)
      const zeros = new Float64Array(9 * 11)
      const shift = zeros.map((_, k) => (k === 4 * 11 + 7 ? 0.25 : 0)) // step 4, neuron 7
      const scale = zeros.map((_, k) => (k === 4 * 11 + 7 ? 0 : 1))
      const changes = { f: { scale, shift, stepStride: 11, rowStride: 0 } }
      const changed = kernels.forward({ ...request, changes, keep: ['f', 'h'] }).signals
      const plain = kernels.forward({ ...request, keep: ['f', 'h'] }).signals
      for (let b = 0; b < 3; b++) expect(changed['f']![(4 * 3 + b) * 11 + 7]).toBe(0.25)
      expect(changed['h']!.subarray(0, 4 * 33)).toEqual(plain['h']!.subarray(0, 4 * 33))
      expect(changed['h']!.subarray(4 * 33)).not.toEqual(plain['h']!.subarray(4 * 33))
    })
  })

  describe.each(BUILTIN_CELLS.map((cell) => [cell.name, cell] as const))('%s', (_, cell) => {
    it('continues from its final state as if it had not stopped', () => {
      const request = problem(cell, 'float32', SIZES)
      const whole = kernels.forward({ ...request, keep: cell.signals })
      const first = kernels.forward({ ...request, steps: 6, vectors: request.vectors.slice(0, 6 * 15), keep: [] })
      const rest = kernels.forward({ ...request, steps: 3, vectors: request.vectors.slice(6 * 15), initial: first.final, keep: cell.signals }) // prettier-ignore
      for (const name of cell.signals) expect(rest.signals[name]).toEqual(whole.signals[name]!.slice(6 * 33))
    })

    it('computes a row of a batch as it computes the row alone', () => {
      const request = problem(cell, 'float32', SIZES)
      const whole = kernels.forward({ ...request, keep: cell.signals })
      const of = (values: Numbers, width: number): Numbers =>
        values.filter((_, k) => Math.floor(k / width) % 3 === 1) as Numbers
      const initial = Object.fromEntries(
        Object.entries(request.initial).map(([name, values]) => [name, of(values, 11)]),
      )
      const alone = kernels.forward({
        ...request,
        rows: 1,
        vectors: of(request.vectors, 5),
        initial,
        keep: cell.signals,
      })
      for (const name of cell.signals) expect(alone.signals[name]).toEqual(of(whole.signals[name]!, 11))
    })

    it('computes the same when the hidden states are given', () => {
      const request = problem(cell, 'float32', SIZES)
      const whole = kernels.forward({ ...request, keep: cell.signals })
      const known = kernels.forward({ ...request, hidden: whole.signals['h']!, keep: cell.signals })
      expect(known).toEqual(whole)
    })

    it('is unchanged by an intervention of scale 1 and shift 0', () => {
      const request = problem(cell, 'float32', SIZES)
      const [scale, shift] = [new Float32Array(11).fill(1), new Float32Array(11)]
      const changes = Object.fromEntries(
        cell.signals.map((name) => [name, { scale, shift, stepStride: 0, rowStride: 0 }]),
      )
      const changed = kernels.forward({ ...request, changes, keep: cell.signals })
      expect(changed).toEqual(kernels.forward({ ...request, keep: cell.signals }))
    })

    it('has the gradients of finite differences', () => {
      const sizes = { steps: 4, rows: 2, inputs: 3, neurons: 5 }
      const request = problem(cell, 'float64', sizes, 7)
      const next = numbers(3)
      const draw = (names: readonly string[], size: number) =>
        Object.fromEntries(names.map((name) => [name, array('float64', size, next)]))
      const [dSignals, dFinal] = [draw(cell.signals, 40), draw(cell.states, 10)]
      const changed = cell.signals[0]!
      const changes = {
        [changed]: { scale: array('float64', 5, next), shift: array('float64', 5, next), stepStride: 0, rowStride: 0 },
      }
      const loss = (): number => {
        const { signals, final } = kernels.forward({ ...request, changes, keep: cell.signals })
        let sum = 0
        for (const name of cell.signals) signals[name]!.forEach((value, k) => (sum += value * dSignals[name]![k]!))
        for (const name of cell.states) final[name]!.forEach((value, k) => (sum += value * dFinal[name]![k]!))
        return sum
      }
      const stored = kernels.forward({ ...request, changes, keep: [], store: true }).stored!
      const gradients = kernels.backward({ ...request, changes, stored, dSignals, dFinal })
      const pairs: [Numbers, Numbers][] = [
        [request.vectors, gradients.vectors!],
        ...(['input', 'biases', 'recurrent', 'neuron'] as const).map((name): [Numbers, Numbers] => [
          request.weights[name],
          gradients.weights[name],
        ]),
        ...cell.states.map((name): [Numbers, Numbers] => [request.initial[name]!, gradients.initial[name]!]),
      ]
      for (const [values, gradient] of pairs) {
        expect(gradient.length).toBe(values.length)
        for (let k = 0; k < values.length; k += Math.max(1, values.length >> 3)) {
          const before = values[k]!
          values[k] = before + 1e-5
          const above = loss()
          values[k] = before - 1e-5
          const below = loss()
          values[k] = before
          const slope = (above - below) / 2e-5
          expect(Math.abs(gradient[k]! - slope) / Math.max(1, Math.abs(slope))).toBeLessThan(1e-7)
        }
      }
    })
  })

  it('the kernels have every built-in cell, recognised by its equations', () => {
    expect(kernels.cells).toEqual(BUILTIN_CELLS)
    for (const cell of BUILTIN_CELLS) expect(kernels.cell(cell.tape)).toBe(cell)
    expect(kernels.cell(cellNamed('lstm').tape.replace('sigmoid', 'tanh'))).toBeNull()
  })

  describe('blocks', () => {
    it('have new views after the memory has grown', () => {
      const { memory } = kernels
      const block = memory.copy(Float32Array.of(1, 2, 3))
      const large = memory.take('float64', 4_000_000)
      expect(Array.from(block.view)).toEqual([1, 2, 3])
      large.view.fill(5)
      expect(Array.from(block.part(1, 2).view)).toEqual([2, 3])
      memory.free(large)
      memory.free(block)
    })

    it('are used again after they were freed', () => {
      const { memory } = kernels
      const pages = (): number => memory.views.float32.length
      const turn = (): void => {
        const blocks = [100, 5000, 3, 70_000].map((size) => memory.take('float64', size))
        for (const k of [2, 0, 3, 1]) memory.free(blocks[k]!)
      }
      turn()
      const before = pages()
      for (let k = 0; k < 50; k++) turn()
      expect(pages()).toBe(before)
    })

    it('of weights give the results of arrays', () => {
      const request = { ...problem(cellNamed('lstm'), 'float64', SIZES), keep: ['h'] }
      const weights = kernels.placeWeights(request.weights)
      const placed = [kernels.forward({ ...request, weights }), kernels.forward({ ...request, weights })]
      kernels.freeWeights(weights)
      expect(placed).toEqual([kernels.forward(request), kernels.forward(request)])
    })

    it('run a layer without copies, with the same results', () => {
      const request = problem(cellNamed('gru'), 'float32', SIZES)
      const expected = kernels.forward({ ...request, keep: ['h'] }).signals['h']
      const actual = kernels.memory.scoped((keep) => {
        const { memory } = kernels
        const copied = (values: Numbers) => keep(memory.copy(values))
        const { input, biases, recurrent, neuron } = request.weights
        const h = keep(memory.take('float32', 9 * 33))
        kernels.runForward({
          ...request,
          precision: 'float32',
          vectors: copied(request.vectors),
          ids: null,
          lengths: null,
          weights: {
            input: copied(input),
            biases: copied(biases),
            recurrent: copied(recurrent),
            neuron: copied(neuron),
          },
          initial: { h: copied(request.initial['h']!) },
          changes: {},
          signals: { h },
        })
        return h.view.slice()
      })
      expect(actual).toEqual(expected)
    })
  })

  describe('the kernels refuse', () => {
    const refused = (change: Partial<ForwardRequest<Numbers>>): string => {
      try {
        kernels.forward({ ...problem(cellNamed('lstm'), 'float32', SIZES), keep: ['h'], ...change })
      } catch (error) {
        if (error instanceof EngineError) return error.code
        throw error
      }
      return 'nothing'
    }

    it('arrays of another size or precision, and unknown names', () => {
      expect(refused({ vectors: new Float32Array(3) })).toBe('KERNELS_ARRAY_SIZE')
      expect(refused({ vectors: new Float64Array(135) })).toBe('KERNELS_ARRAY_TYPE')
      expect(refused({ keep: ['h', 'z'] })).toBe('KERNELS_NAME_UNKNOWN')
      expect(refused({ vectors: null })).toBe('KERNELS_INPUT_MISSING')
      expect(refused({ neurons: 0 })).toBe('KERNELS_SIZE_INVALID')
      const [scale, shift] = [new Float32Array(98), new Float32Array(98)]
      expect(refused({ changes: { f: { scale, shift, stepStride: 11, rowStride: 0 } } })).toBe('KERNELS_CHANGE_SIZE')
      expect(refused({ lengths: Int32Array.of(9, 10, 2) })).toBe('KERNELS_FAILED')
    })

    it('a layer without working memory, and go on', async () => {
      const kernels = await load()
      const { memory } = kernels
      const request = { ...problem(cellNamed('lstm'), 'float32', SIZES), keep: ['h'] }
      const expected = kernels.forward(request)
      const signals = { h: memory.take('float32', 9 * 33) }
      const weights = {
        input: memory.copy(request.weights.input),
        biases: memory.copy(request.weights.biases),
        recurrent: memory.copy(request.weights.recurrent),
        neuron: memory.copy(request.weights.neuron),
      }
      const vectors = memory.copy(request.vectors)
      const words = memory.take('int64', 256) // becomes free for the request, but is too small for anything else
      const blocks: Block[] = []
      for (let size = 2 ** 28; size >= 8;)
        try {
          blocks.push(memory.take('int64', size))
        } catch {
          size /= 2
        }
      memory.free(words)
      const pass = { ...request, precision: 'float32', vectors, weights, signals, ids: null, lengths: null, initial: {} } as const // prettier-ignore
      for (let k = 0; k < 3; k++)
        expect(() => kernels.runForward({ ...pass, changes: {} })).toThrow(/KERNELS_MEMORY_FULL {"bytes":\d+}/)
      for (const block of blocks) memory.free(block)
      expect(kernels.forward(request)).toEqual(expected)
    })

    it('bytes that are not the kernels', async () => {
      await expect(loadKernels(new Uint8Array(8), new Uint8Array(8))).rejects.toThrow('KERNELS_UNSUPPORTED')
    })
  })
})

it('kernels are those with relaxed SIMD where the host has it', async () => {
  expect((await loadKernels(plainBytes, relaxedBytes)).relaxed).toBe(WebAssembly.validate(relaxedBytes))
  expect(WebAssembly.validate(plainBytes)).toBe(true)
  expect(relaxedBytes.length).toBeGreaterThan(100_000)
})
