// The equations of a cell as a graph: its inputs, every operation once, and the signals that operations compute.
import type { Expression } from '../data/expression'
import type { Signal } from '../data/run'
import { evaluate, isLeaf, type Leaf, leafName, type Values } from './formula'

/** What a node is; `copy` gives another name to a value that exists already. */
export type NodeKind = 'drive' | 'state' | 'parameter' | 'constant' | 'operation' | 'copy'

export interface GraphNode {
  kind: NodeKind
  /** The name of a leaf, or of the operation. */
  name: string
  /** Wires into the node, in the order of the formula: numbers of earlier nodes. */
  inputs: number[]
  /** The signals that the node computes. */
  signals: string[]
  /** The signal in whose equation the node stands first. */
  equation: string
  expression: Expression
}

export interface CellGraph {
  /** Inputs come before what uses them. */
  nodes: GraphNode[]
  /** The numbers of the operations and copies, in the order in which the equations compute them. */
  operations: number[]
  /** The node that computes a part of a formula. */
  nodeOf: ReadonlyMap<Expression, number>
}

/** The operations that are joined to one node with several inputs: a + b + c is one sum. */
const JOINED = new Set(['add'])

/** Return the graph of some equations, in their order. A part that several equations have is one node. */
export function cellGraph(signals: readonly Pick<Signal, 'name' | 'expression'>[]): CellGraph {
  const nodes: GraphNode[] = []
  const nodeOf = new Map<Expression, number>()
  const known = new Map<string, number>()
  const nodeOfSignal = new Map<string, number>()
  const uses = countUses(signals)

  function add(part: Expression, equation: string): number {
    const number = numberOf(part, equation)
    nodeOf.set(part, number)
    return number
  }
  function numberOf(part: Expression, equation: string): number {
    if ('signal' in part && nodeOfSignal.has(part.signal)) return nodeOfSignal.get(part.signal)!
    const key = JSON.stringify(part)
    const found = known.get(key)
    if (found !== undefined) {
      if (!isLeaf(part)) part.arguments.forEach((argument) => add(argument, equation))
      return found
    }
    const inputs = isLeaf(part) ? [] : part.arguments.flatMap((argument) => wires(part.operation, argument, equation))
    const [kind, name] = isLeaf(part) ? leafKind(part) : (['operation', part.operation] as const)
    known.set(key, nodes.length)
    return nodes.push({ kind, name, inputs, signals: [], equation, expression: part }) - 1
  }
  /** Return the wires from an argument into an operation: those of the argument itself, if it is joined to it. */
  function wires(operation: string, argument: Expression, equation: string): number[] {
    const isJoined =
      !isLeaf(argument) &&
      JOINED.has(operation) &&
      argument.operation === operation &&
      uses.get(JSON.stringify(argument)) === 1
    return isJoined ? argument.arguments.flatMap((part) => wires(operation, part, equation)) : [add(argument, equation)]
  }

  for (const { name, expression } of signals) {
    let node = add(expression, name)
    if (isLeaf(expression)) {
      const copy = { kind: 'copy' as const, name: 'copy', inputs: [node], signals: [], equation: name, expression }
      node = nodes.push(copy) - 1
    }
    nodes[node]!.signals.push(name)
    nodeOfSignal.set(name, node)
  }
  joinParts(nodes, nodeOf)
  const operations = [...nodes.keys()].filter((node) => isComputed(nodes[node]!))
  return { nodes, operations, nodeOf }
}

export const isComputed = ({ kind }: GraphNode): boolean => kind === 'operation' || kind === 'copy'

const leafKind = (leaf: Leaf): [NodeKind, string] => {
  if ('drive' in leaf) return ['drive', leaf.drive]
  if ('state' in leaf) return ['state', leaf.state]
  if ('parameter' in leaf) return ['parameter', leaf.parameter]
  if ('constant' in leaf) return ['constant', leafName(leaf)]
  throw new Error(`signal ${leaf.signal}`)
}

/** Count how often each part stands in the equations; a part of a repeated part stands there once. */
function countUses(signals: readonly Pick<Signal, 'expression'>[]): Map<string, number> {
  const uses = new Map<string, number>()
  const count = (part: Expression): void => {
    const key = JSON.stringify(part)
    const before = uses.get(key) ?? 0
    uses.set(key, before + 1)
    if (!before && !isLeaf(part)) part.arguments.forEach(count)
  }
  // The equation of a signal has a name, so it is never joined to another one.
  for (const { expression } of signals) {
    count(expression)
    count(expression)
  }
  return uses
}

/** Let the parts that were joined to a node be computed by it. */
function joinParts(nodes: readonly GraphNode[], nodeOf: Map<Expression, number>): void {
  const join = (part: Expression, node: number): void => {
    if (isLeaf(part)) return
    if (!nodeOf.has(part)) nodeOf.set(part, node)
    for (const argument of part.arguments) join(argument, nodeOf.get(argument) ?? nodeOf.get(part)!)
  }
  nodes.forEach(({ expression }, node) => join(expression, node))
}

/** Return the value of every node. Signals have the values that were recorded, also while they are held. */
export function nodeValues({ nodes }: CellGraph, values: Values): number[] {
  return nodes.map(({ expression, signals: [signal] }) =>
    signal === undefined ? evaluate(expression, values) : values({ signal }),
  )
}
