// One neuron at one step: the numbers that its formulas read, and each formula computed again.
import type { Layer, Signal } from '../data/run'
import type { Trace } from '../data/trace'
import { evaluate, withNumbers, isLeaf, type Leaf, leafName, leaves, reduced, symbolic } from './formula'
import { chooseScale, clipped, position, type Scale } from './scale'

export interface EvaluatedSignal {
  signal: Signal
  value: number
  symbolic: string
  /** The formula with its numbers; null where that is a single number, which is the result. */
  filled: string | null
  reduced: string | null
  /** The formula computed again from the numbers in it. */
  recomputed: number
  agrees: boolean
  scale: Scale
  position: number
  clipped: boolean
}

export interface FormulaInput {
  name: string
  title: string
  explanation: string
  value: number
}

export interface EvaluatedNeuron {
  signals: EvaluatedSignal[]
  inputs: FormulaInput[]
}

/** The step that a layer read just before this one, or null where it begins: one that reads from the end comes from behind. */
export function previousStep(reverse: boolean, trace: Trace, step: number): number | null {
  if (reverse) return step + 1 >= trace.steps || trace.start[step + 1] ? null : step + 1
  return step === 0 || trace.start[step] ? null : step - 1
}

/** A state before the first step that a layer reads: 0, where the network has none of its own. */
function initialState(layer: string, trace: Trace, row: number, state: string): number {
  return trace.parameter(`${layer}.initial.${state}`, row) ?? 0
}

/** What a formula reads at one step. A state is its signal at the step read before, the initial one where the layer begins. */
export function leafReader(
  { name: layer, reverse }: Pick<Layer, 'name' | 'reverse'>,
  trace: Trace,
  row: number,
  step: number,
): (leaf: Leaf) => number {
  const at = (name: string, when: number): number => trace.row(`${layer}.${name}`, row)?.[when] ?? NaN
  const before = previousStep(reverse, trace, step)
  return (leaf) => {
    if ('signal' in leaf) return at(leaf.signal, step)
    if ('state' in leaf) return before === null ? initialState(layer, trace, row, leaf.state) : at(leaf.state, before)
    if ('drive' in leaf) return at(leaf.drive, step)
    if ('parameter' in leaf) return trace.parameter(`${layer}.${leaf.parameter}`, row) ?? NaN
    return leaf.constant
  }
}

export function evaluateNeuron(
  layer: Layer,
  trace: Trace,
  row: number,
  step: number,
  scales: ReadonlyMap<string, Scale> = new Map(),
): EvaluatedNeuron {
  const values = leafReader(layer, trace, row, step)
  const own = (leaf: Leaf): boolean =>
    'state' in leaf && trace.parameter(`${layer.name}.initial.${leaf.state}`, row) !== null
  const inputs = new Map<string, FormulaInput>()
  const signals = layer.signals.map((signal) => {
    for (const leaf of leaves(signal.expression)) {
      const input = describeInput(layer, leaf, values(leaf), own(leaf))
      if (input) inputs.set(leafName(leaf), input)
    }
    return evaluateSignal(layer, signal, trace, row, step, values, scales.get(signal.name))
  })
  return { signals, inputs: [...inputs.values()] }
}

function evaluateSignal(
  layer: Layer,
  signal: Signal,
  trace: Trace,
  row: number,
  step: number,
  values: (leaf: Leaf) => number,
  stripScale: Scale | undefined,
): EvaluatedSignal {
  const all = trace.row(`${layer.name}.${signal.name}`, row) ?? new Float32Array()
  const value = all[step] ?? NaN
  const recomputed = evaluate(signal.expression, values)
  const scale = stripScale ?? chooseScale(signal.range, all)
  return {
    signal,
    value,
    symbolic: layer.reverse ? symbolic(signal.expression).replaceAll('₋₁', '₊₁') : symbolic(signal.expression),
    filled: isLeaf(signal.expression) ? null : withNumbers(signal.expression, values),
    reduced: reduced(signal.expression, values),
    recomputed,
    agrees: Math.abs(recomputed - value) <= (trace.tolerance || 1e-5) * Math.max(1, Math.abs(value)),
    scale,
    position: Math.max(-1, Math.min(1, position(scale, value))),
    clipped: clipped(scale, value),
  }
}

/** `own`: the network has an initial value of its own for the state. */
function describeInput(layer: Layer, leaf: Leaf, value: number, own: boolean): FormulaInput | null {
  if ('drive' in leaf) {
    const drive = layer.drives.find((one) => one.name === leaf.drive)
    return { name: leaf.drive, title: drive?.title ?? 'drive', explanation: drive?.formula ?? '', value }
  }
  if ('parameter' in leaf) {
    const parameter = layer.parameters.find((one) => one.name === leaf.parameter)
    return {
      name: leaf.parameter,
      title: parameter?.title ?? 'learned number',
      explanation: 'the same at every step',
      value,
    }
  }
  if ('state' in leaf) {
    const title = layer.signals.find((one) => one.name === leaf.state)?.title ?? leaf.state
    return layer.reverse
      ? {
          name: leafName(leaf).replace('₋₁', '₊₁'),
          title: `${title}, at the next step of the text: this layer reads from the end`,
          explanation: `${own ? 'the initial state of the network' : '0'} where a sequence ends`,
          value,
        }
      : {
          name: leafName(leaf),
          title: `${title}, one step earlier`,
          explanation: `${own ? 'the initial state of the network' : '0'} where a sequence starts`,
          value,
        }
  }
  return null
}
