// One neuron at one step: the numbers that its formulas read, and each formula computed again.
import type { Layer, Signal } from '../data/run'
import type { Trace } from '../data/trace'
import { text } from '../messages/text'
import { evaluate, isLeaf, type Leaf, leafName, leaves, symbolic } from './formula'
import { lastOperation, type MathNode, numberNodes, symbolNodes } from './mathml'
import { chooseScale, clipped, position, type Scale } from './scale'

export interface EvaluatedSignal {
  signal: Signal
  value: number
  /** The formula on one line, and in mathematical type. */
  symbolic: string
  formula: MathNode
  /** The formula with its numbers; null if it is a single number, which is the result. */
  filled: MathNode | null
  /** Its last operation with the arguments computed; null if none had to be computed. */
  last: MathNode | null
  /** The value computed again from the numbers in the formula. */
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

/** Return the step that a layer reads before this one, the next step of the text if it reads from the end; null if there is none. */
export function previousStep(reverse: boolean, trace: Trace, step: number): number | null {
  if (reverse) return step + 1 >= trace.steps || trace.start[step + 1] ? null : step + 1
  return step === 0 || trace.start[step] ? null : step - 1
}

/** Return the initial value of a state; 0 if the network has none of its own. */
function initialState(layer: string, trace: Trace, row: number, state: string): number {
  return trace.parameter(`${layer}.initial.${state}`, row) ?? 0
}

/** Return a function from a leaf of a formula to its value at one step. A state is the signal at the previous step, or the initial state. */
export function leafReader(
  { name: layer, reverse }: Pick<Layer, 'name' | 'reverse'>,
  trace: Trace,
  row: number,
  step: number,
): (leaf: Leaf) => number {
  const valueAt = (name: string, atStep: number): number => trace.row(`${layer}.${name}`, row)?.[atStep] ?? NaN
  const previous = previousStep(reverse, trace, step)
  return (leaf) => {
    if ('signal' in leaf) return valueAt(leaf.signal, step)
    if ('state' in leaf)
      return previous === null ? initialState(layer, trace, row, leaf.state) : valueAt(leaf.state, previous)
    if ('drive' in leaf) return valueAt(leaf.drive, step)
    if ('parameter' in leaf) return trace.parameter(`${layer}.${leaf.parameter}`, row) ?? NaN
    return leaf.constant
  }
}

/** Return the signals of a layer without their values, which are still to come. */
export function pendingSignals(layer: Layer): EvaluatedSignal[] {
  return layer.signals.map((signal) => ({
    signal,
    value: NaN,
    symbolic: symbolicOf(layer, signal),
    formula: symbolNodes(signal.expression, layer.reverse),
    filled: null,
    last: null,
    recomputed: NaN,
    agrees: true,
    scale: chooseScale(signal.range, []),
    position: 0,
    clipped: false,
  }))
}

const symbolicOf = ({ reverse }: Layer, { expression }: Signal): string =>
  reverse ? symbolic(expression).replaceAll('₋₁', '₊₁') : symbolic(expression)

export function evaluateNeuron(
  layer: Layer,
  trace: Trace,
  row: number,
  step: number,
  scales: ReadonlyMap<string, Scale> = new Map(),
): EvaluatedNeuron {
  const values = leafReader(layer, trace, row, step)
  const hasInitial = (leaf: Leaf): boolean =>
    'state' in leaf && trace.parameter(`${layer.name}.initial.${leaf.state}`, row) !== null
  const inputs = new Map<string, FormulaInput>()
  const signals = layer.signals.map((signal) => {
    for (const leaf of leaves(signal.expression)) {
      const input = describeInput(layer, leaf, values(leaf), hasInitial(leaf))
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
  const recorded = trace.row(`${layer.name}.${signal.name}`, row) ?? new Float32Array()
  const value = recorded[step] ?? NaN
  const recomputed = evaluate(signal.expression, values)
  const scale = stripScale ?? chooseScale(signal.range, recorded)
  return {
    signal,
    value,
    symbolic: symbolicOf(layer, signal),
    formula: symbolNodes(signal.expression, layer.reverse),
    filled: isLeaf(signal.expression) ? null : numberNodes(signal.expression, values),
    last: lastOperation(signal.expression, values),
    recomputed,
    agrees: Math.abs(recomputed - value) <= (trace.tolerance || 1e-5) * Math.max(1, Math.abs(value)),
    scale,
    position: Math.max(-1, Math.min(1, position(scale, value))),
    clipped: clipped(scale, value),
  }
}

/** Describe a leaf; `own` if the network has an initial value of its own for the state. */
function describeInput(layer: Layer, leaf: Leaf, value: number, hasInitial: boolean): FormulaInput | null {
  if ('drive' in leaf) {
    const drive = layer.drives.find(({ name }) => name === leaf.drive)
    return { name: leaf.drive, title: drive?.title ?? text('INPUT_DRIVE'), explanation: drive?.formula ?? '', value }
  }
  if ('parameter' in leaf) {
    const parameter = layer.parameters.find(({ name }) => name === leaf.parameter)
    return {
      name: leaf.parameter,
      title: parameter?.title ?? text('INPUT_PARAMETER'),
      explanation: text('INPUT_PARAMETER_MEANING'),
      value,
    }
  }
  if ('state' in leaf) {
    const title = layer.signals.find(({ name }) => name === leaf.state)?.title ?? leaf.state
    return layer.reverse
      ? {
          name: leafName(leaf).replace('₋₁', '₊₁'),
          title: text('INPUT_STATE_REVERSE', { title }),
          explanation: hasInitial ? text('INPUT_INITIAL_AT_END') : text('INPUT_ZERO_AT_END'),
          value,
        }
      : {
          name: leafName(leaf),
          title: text('INPUT_STATE', { title }),
          explanation: hasInitial ? text('INPUT_INITIAL_AT_START') : text('INPUT_ZERO_AT_START'),
          value,
        }
  }
  return null
}
