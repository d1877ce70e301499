// The words of a diagram: the sign in each node, and what screen readers read.
import type { Layer } from '../data/run'
import { text } from '../messages/text'
import { type CellGraph, type GraphNode, isComputed } from './cell-graph'
import { leafName, type Leaf } from './formula'
import { lineOf, symbolNodes } from './mathml'
import { number } from './numbers'

const SIGNS: Record<string, string> = {
  add: '+',
  subtract: '−',
  multiply: '×',
  divide: '÷',
  negate: '−',
  sigmoid: 'σ',
  log_sigmoid: 'log σ',
  maximum: 'max',
  exp: 'exp',
  copy: '=',
}

/** Return what stands in a node: the sign of an operation, or the name of an input. */
export function nodeSign(node: GraphNode, reverse: boolean): string {
  if (isComputed(node)) return SIGNS[node.name] ?? node.name
  const name = leafName(node.expression as Leaf)
  return reverse ? name.replace('₋₁', '₊₁') : name
}

/** Return the name of a node: the signals that it computes, or its formula. */
export function nodeName(node: GraphNode, reverse: boolean): string {
  return node.signals.length ? node.signals.join(', ') : lineOf(symbolNodes(node.expression, reverse))
}

/** Return a node in words: its name, its formula and its value; without a value, it is not computed yet. */
export function nodeWords(node: GraphNode, layer: Layer, value: number | null): string {
  const formula = lineOf(symbolNodes(node.expression, layer.reverse))
  const name = node.signals.length ? `${node.signals.join(', ')} = ${formula}` : formula
  if (value === null) return text('DIAGRAM_NODE_PENDING', { name })
  return text('DIAGRAM_NODE', { name, value: number(value) })
}

/** Return the title of the input or the signal that a node is; null for other operations. */
export function nodeTitle(node: GraphNode, layer: Layer): string | null {
  const titled =
    layer.drives.find(({ name }) => node.kind === 'drive' && name === node.name) ??
    layer.parameters.find(({ name }) => node.kind === 'parameter' && name === node.name) ??
    layer.signals.find(({ name }) => node.signals.includes(name) || (node.kind === 'state' && name === node.name))
  return titled?.title ?? null
}

/** Return the signal whose equation is shown for a node: its own one, or the one in which it stands first. */
export const equationOf = ({ nodes }: CellGraph, node: number): string =>
  nodes[node]!.signals[0] ?? nodes[node]!.equation
