// The request of a pass: its arrays with their shapes, checked, and the words in which the kernels read it.
//
// T step, B row (sequence of the batch), I input, N neuron, G input drive, R recurrent drive, P parameter.
import type { BuiltinCell } from './builtin-cells'
import { EngineError } from './errors'
import type { Block, Precision } from './kernel-memory'

/** The weights of a layer, or their gradients; the order of drives is that of the cell. */
export interface Weights<A> {
  /** (G, N, I) */
  input: A
  /** (G, N) */
  biases: A
  /** (R, N, N): entry [k, to, from]. */
  recurrent: A
  /** (P, N) */
  neuron: A
}

/** A signal becomes scale · value + shift, both at index t · stepStride + b · rowStride + n; a stride may be 0. */
export interface Change<A> {
  scale: A
  shift: A
  stepStride: number
  rowStride: number
}

/** The arguments of a layer; A is a typed array, or a block in the memory of the kernels. */
export interface Layer<A, W> {
  cell: BuiltinCell
  steps: number
  rows: number
  inputs: number
  neurons: number
  /** Whether sequences are read from their last step to their first. */
  reverse?: boolean
  /** Input vectors (T, B, I). Exactly one of `vectors` and `ids` is given. */
  vectors?: A | null
  /** Input symbols (T, B); a symbol outside 0 .. I - 1 is a zero vector. */
  ids?: W | null
  /** (B), 0 .. T each; all rows have T steps if it is missing. Signals after the end of a sequence are 0. */
  lengths?: W | null
  weights: Weights<A>
  /** State -> (B, N); missing states start at 0. */
  initial?: Readonly<Record<string, A>>
  /** Interventions by signal. */
  changes?: Readonly<Record<string, Change<A>>>
}

/** A pass whose arrays are in the memory of the kernels. */
export interface Pass extends Layer<Block<Precision>, Block<'int64'>> {
  precision: Precision
  /** Signal -> (T, B, N): what a forward pass writes, all that a backward pass reads. */
  signals: Readonly<Record<string, Block<Precision>>>
  /** (T, B, N) each, in the order of the cell: written by a forward pass for the backward pass. */
  residuals?: readonly Block<Precision>[]
  /** Changed signal -> (T, B, N), its values before the change: likewise. */
  before?: Readonly<Record<string, Block<Precision>>>
}

export interface ForwardPass extends Pass {
  /** State -> (B, N), written. */
  final?: Readonly<Record<string, Block<Precision>>>
  /** Known hidden states (T, B, N): every step then reads these instead of those it computes. */
  hidden?: Block<Precision> | null
}

export interface BackwardPass extends Pass {
  /** Signal -> dL/d signal (T, B, N); missing ones are 0. */
  dSignals?: Readonly<Record<string, Block<Precision>>>
  /** State -> dL/d final state (B, N); missing ones are 0. */
  dFinal?: Readonly<Record<string, Block<Precision>>>
  /** Results; missing ones are not computed. The shapes are those of vectors, initial states and weights. */
  dVectors?: Block<Precision> | null
  dInitial?: Readonly<Record<string, Block<Precision>>>
  dWeights?: Partial<Weights<Block<Precision>>>
}

const MAX_SIGNALS = 16 // of native/request.hpp
const MAX_SIZE = 2 ** 31 - 1

/** The words of a request, in the order in which native/wasm/entry.cpp reads them. */
class Words {
  readonly words: number[] = []

  constructor(private readonly pass: Pass) {}

  number(value: number): void {
    this.words.push(value)
  }

  /** Add the address of a block, after checking its precision and size; 0 if there is none. */
  block(name: string, block: Block | null | undefined, size: number, kind: string = this.pass.precision): void {
    if (!block) return this.number(0)
    if (block.kind !== kind)
      throw new EngineError('KERNELS_ARRAY_TYPE', { array: name, expected: kind, type: block.kind })
    if (block.length !== size)
      throw new EngineError('KERNELS_ARRAY_SIZE', { array: name, expected: size, size: block.length })
    this.number(block.address)
  }

  /** Add a value for each of the names, and 0 for the rest of MAX_SIGNALS. */
  each(names: readonly (string | number)[], add: (name: string | number) => void): void {
    for (const name of names) add(name)
    for (let k = names.length; k < MAX_SIGNALS; k++) this.number(0)
  }

  /** Add the block of each name. */
  blocks(
    array: string,
    names: readonly string[],
    blocks: Readonly<Record<string, Block | null>> | undefined,
    size: number,
  ): void {
    checkNames(array, Object.keys(blocks ?? {}), names)
    this.each(names, (name) => this.block(`${array}.${name}`, blocks?.[name], size))
  }
}

function checkNames(array: string, given: readonly string[], names: readonly string[]): void {
  for (const name of given)
    if (!names.includes(name))
      throw new EngineError('KERNELS_NAME_UNKNOWN', { array, name, names: names.join(', ') || '–' })
}

function checkSizes({ steps, rows, inputs, neurons }: Pass): void {
  for (const [name, size] of Object.entries({ steps, rows, inputs, neurons }))
    if (!Number.isInteger(size) || size < (name === 'neurons' ? 1 : 0) || size > MAX_SIZE)
      throw new EngineError('KERNELS_SIZE_INVALID', { name, size })
}

/** Refuse a change that reads past the end of its arrays. */
function checkChange(name: string, change: Change<Block>, { steps, rows, neurons }: Pass): void {
  const { stepStride, rowStride } = change
  const strides = [stepStride, rowStride]
  const end = Math.max(0, steps - 1) * stepStride + Math.max(0, rows - 1) * rowStride + neurons
  for (const block of [change.scale, change.shift])
    if (!strides.every((stride) => Number.isInteger(stride) && stride >= 0) || end > block.length)
      throw new EngineError('KERNELS_CHANGE_SIZE', { signal: name, stepStride, rowStride, size: block.length })
}

/** Add what both passes share. */
function addPass(words: Words, pass: Pass, cellIndex: number): void {
  checkSizes(pass)
  const { cell, steps: T, rows: B, inputs: I, neurons: N } = pass
  if (!pass.vectors === !pass.ids) throw new EngineError('KERNELS_INPUT_MISSING')
  for (const value of [cellIndex, T, B, I, N, pass.reverse ? 1 : 0]) words.number(value)
  words.block('vectors', pass.vectors, T * B * I)
  words.number(B * I)
  words.number(I)
  words.block('ids', pass.ids, T * B, 'int64')
  words.number(B)
  words.number(1)
  words.block('lengths', pass.lengths, B, 'int64')
  addWeights(words, 'weights', pass, pass.weights)
  words.each(cell.inputIndices, (index) => words.number(index as number))
  words.each(cell.recurrentIndices, (index) => words.number(index as number))
  words.blocks('initial', cell.states, pass.initial, B * N)
  words.blocks('signals', cell.signals, pass.signals, T * B * N)
  words.each([...cell.residuals.keys()], (k) => words.block(`residuals.${k}`, pass.residuals?.[k as number], T * B * N))
  addChanges(words, pass)
}

function addChanges(words: Words, pass: Pass): void {
  const { signals } = pass.cell
  const changes = pass.changes ?? {}
  checkNames('changes', Object.keys(changes), signals)
  for (const [name, change] of Object.entries(changes)) checkChange(name, change, pass)
  for (const part of ['scale', 'shift'] as const)
    words.each(signals, (name) => {
      const block = changes[name]?.[part]
      words.block(`${part}.${name}`, block, block?.length ?? 0)
    })
  words.each(signals, (name) => words.number(changes[name]?.stepStride ?? 0))
  words.each(signals, (name) => words.number(changes[name]?.rowStride ?? 0))
  words.blocks('before', signals, pass.before, pass.steps * pass.rows * pass.neurons)
}

function addWeights(words: Words, array: string, pass: Pass, weights: Partial<Weights<Block>> | undefined): void {
  const { cell, inputs: I, neurons: N } = pass
  const [G, R, P] = [cell.inputDrives.length, cell.recurrentDrives.length, cell.parameters.length]
  words.block(`${array}.input`, weights?.input, G * N * I)
  words.block(`${array}.biases`, weights?.biases, G * N)
  words.block(`${array}.recurrent`, weights?.recurrent, R * N * N)
  words.block(`${array}.neuron`, weights?.neuron, P * N)
}

/** Return the words of a forward pass; `cellIndex` is the cell's place in the kernels. */
export function forwardWords(pass: ForwardPass, cellIndex: number): number[] {
  const words = new Words(pass)
  const { steps: T, rows: B, neurons: N } = pass
  addPass(words, pass, cellIndex)
  words.blocks('final', pass.cell.states, pass.final, B * N)
  words.block('hidden', pass.hidden, T * B * N)
  words.number(B * N)
  words.number(N)
  return words.words
}

/** Return the words of a backward pass. */
export function backwardWords(pass: BackwardPass, cellIndex: number): number[] {
  const words = new Words(pass)
  const { cell, steps: T, rows: B, inputs: I, neurons: N } = pass
  checkStored(pass)
  addPass(words, pass, cellIndex)
  words.blocks('dSignals', cell.signals, pass.dSignals, T * B * N)
  words.each(cell.signals, () => words.number(B * N))
  words.each(cell.signals, () => words.number(N))
  words.blocks('dFinal', cell.states, pass.dFinal, B * N)
  words.blocks('dInitial', cell.states, pass.dInitial, B * N)
  words.block('dVectors', pass.dVectors, T * B * I)
  addWeights(words, 'dWeights', pass, pass.dWeights)
  return words.words
}

/** Refuse a backward pass without all that its forward pass has to store. */
function checkStored(pass: BackwardPass): void {
  const { cell } = pass
  const missing = [
    ...cell.signals.filter((name) => !pass.signals[name]),
    ...cell.residuals.filter((_, k) => !pass.residuals?.[k]),
    ...Object.keys(pass.changes ?? {}).filter((name) => !pass.before?.[name]),
  ]
  if (missing.length) throw new EngineError('KERNELS_NOT_STORED', { names: missing.join(', ') })
}
