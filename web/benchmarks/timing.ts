// Times the kernels for benchmarks/browser.py: a program for Node that reads lines, and a worker that reads messages.
//
// A message holds a call and its argument; the answer is one JSON value. `load` takes the bytes of both builds, `open` a
// stack of LSTM layers with its inputs, `values` returns results to compare, and `turn` runs one pass for some time.
import { BUILTIN_CELLS } from '../engine/builtin-cells'
import {
  type Block,
  type ForwardRequest,
  type Kernels,
  loadKernels,
  type Numbers,
  type Weights,
} from '../engine/kernels'

type Float = Block<'float32'>

/** A stack of layers with N neurons each, over ids (T, B) or vectors (T, B, I); numbers are base64. */
interface Problem {
  cell: string
  steps: number
  rows: number
  inputs: number
  neurons: number
  /** Ids or vectors. */
  input: string
  isSymbols: boolean
  layers: Weights<string>[]
  /** dL/dh of the last layer, (T, B, N). */
  upstream: string
}

type Pass = 'f' | 'fb'
type Call =
  | { call: 'load'; plain: string; relaxed: string }
  | { call: 'open'; problem: Problem }
  | { call: 'values'; pass: Pass }
  | { call: 'turn'; pass: Pass; seconds: number }

const bytesOf = (base64: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
const floatsOf = (base64: string): Float32Array => new Float32Array(bytesOf(base64).buffer)

let kernels: Kernels
let passes: Record<Pass, () => Numbers>

/** Return a layer's request, without its inputs. */
function layerOf(problem: Problem, k: number, weights: Weights<Float>) {
  const { steps, rows, neurons } = problem
  const cell = BUILTIN_CELLS.find((cell) => cell.name === problem.cell)!
  return {
    cell,
    steps,
    rows,
    neurons,
    inputs: k === 0 ? problem.inputs : neurons,
    weights,
    precision: 'float32' as const,
  }
}

/** A forward pass as the page runs it: the weights stay in the memory, and every signal of every layer is returned. */
function forwardPass(problem: Problem, weights: Weights<Float>[]): () => Numbers {
  const ids = problem.isSymbols ? new Int32Array(bytesOf(problem.input).buffer) : null
  const vectors = problem.isSymbols ? null : floatsOf(problem.input)
  return () => {
    let input: Float32Array | null = vectors
    for (const [k, of] of weights.entries()) {
      const layer = layerOf(problem, k, of)
      const request: ForwardRequest<Float32Array> = {
        ...layer,
        ids: k === 0 ? ids : null,
        vectors: input,
        keep: layer.cell.signals,
      }
      input = kernels.forward(request).signals['h']!
    }
    return input!
  }
}

/**
 * The passes as training runs them: everything stays in the memory. The forward pass returns h of the last layer, both
 * passes together the gradients of the input weights of the first.
 */
function trainingPasses(problem: Problem, weights: Weights<Float>[]): Record<Pass, () => Numbers> {
  const { memory } = kernels
  const { steps: T, rows: B, neurons: N } = problem
  const take = (size: number): Float => memory.take('float32', size)
  const ids = problem.isSymbols ? memory.copyIntegers(new Int32Array(bytesOf(problem.input).buffer)) : null
  const vectors = problem.isSymbols ? null : (memory.copy(floatsOf(problem.input)) as Float)
  const upstream = memory.copy(floatsOf(problem.upstream)) as Float
  const layers = weights.map((of, k) => {
    const layer = layerOf(problem, k, of)
    const like = (block: Float): Float => take(block.length)
    const record = (names: readonly string[], size: number): Record<string, Float> =>
      Object.fromEntries(names.map((name) => [name, take(size)]))
    return {
      ...layer,
      signals: record(layer.cell.signals, T * B * N),
      residuals: layer.cell.residuals.map(() => take(T * B * N)),
      final: record(layer.cell.states, B * N),
      dVectors: k > 0 ? take(T * B * N) : null,
      dWeights: {
        input: like(of.input),
        biases: like(of.biases),
        recurrent: like(of.recurrent),
        neuron: like(of.neuron),
      },
    }
  })
  const inputOf = (k: number) => (k > 0 ? { vectors: layers[k - 1]!.signals['h']!, ids: null } : { vectors, ids })
  const forward = (): Numbers => {
    layers.forEach(({ dVectors: _, dWeights: __, ...layer }, k) => kernels.runForward({ ...layer, ...inputOf(k) }))
    return layers.at(-1)!.signals['h']!.view
  }
  const both = (): Numbers => {
    forward()
    for (let k = layers.length - 1; k >= 0; k--) {
      const { final: _, ...layer } = layers[k]!
      kernels.runBackward({ ...layer, ...inputOf(k), dSignals: { h: layers[k + 1]?.dVectors ?? upstream } })
    }
    return layers[0]!.dWeights.input.view
  }
  return { f: forward, fb: both }
}

/** Run a pass for some time, once untimed before; return the mean seconds of a call. */
function turn(pass: () => Numbers, seconds: number): number {
  pass()
  const start = performance.now()
  let calls = 0
  let milliseconds = 0
  do {
    pass()
    calls++
    milliseconds = performance.now() - start
  } while (milliseconds < 1000 * seconds)
  return milliseconds / 1000 / calls
}

async function answer(call: Call): Promise<unknown> {
  if (call.call === 'load') {
    kernels = await loadKernels(bytesOf(call.plain), bytesOf(call.relaxed))
    return kernels.relaxed
  }
  if (call.call === 'open') {
    const { problem } = call
    // A fresh memory for each problem would need another instance; blocks of earlier problems stay taken.
    const weights = problem.layers.map((layer) => ({
      input: kernels.memory.copy(floatsOf(layer.input)) as Float,
      biases: kernels.memory.copy(floatsOf(layer.biases)) as Float,
      recurrent: kernels.memory.copy(floatsOf(layer.recurrent)) as Float,
      neuron: kernels.memory.copy(floatsOf(layer.neuron)) as Float,
    }))
    passes = trainingPasses(problem, weights)
    if (problem.rows === 1) passes.f = forwardPass(problem, weights)
    return null
  }
  if (call.call === 'values') return Array.from(passes[call.pass]().slice(-1000))
  return turn(passes[call.pass], call.seconds)
}

interface NodeProcess {
  stdin: AsyncIterable<string> & { setEncoding: (encoding: string) => void }
  stdout: { write: (text: string) => void }
}
const node = (globalThis as { process?: NodeProcess }).process

if (node) {
  node.stdin.setEncoding('utf8')
  let rest = ''
  for await (const part of node.stdin) {
    const lines = (rest + part).split('\n')
    rest = lines.pop()!
    for (const line of lines) node.stdout.write(`${JSON.stringify(await answer(JSON.parse(line) as Call))}\n`)
  }
} else {
  addEventListener('message', ({ data }: MessageEvent<Call>) => {
    void answer(data).then(postMessage, (error: unknown) => postMessage({ error: String(error) }))
  })
}
