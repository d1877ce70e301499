import { describe, expect, it } from 'vitest'
import { cellGraph, nodeValues } from '../src/model/cell-graph'
import { type Leaf, leafName } from '../src/model/formula'
import { CELLS } from './cells'

const described = (name: string): string[] => {
  const { nodes } = cellGraph(CELLS[name]!)
  return nodes.map(({ kind, name, inputs, signals }) => {
    const what = kind === 'operation' ? name : kind === 'copy' ? 'copy' : `${kind} ${name}`
    return `${what}${inputs.length ? ` ${inputs.join(' ')}` : ''}${signals.length ? ` = ${signals.join(', ')}` : ''}`
  })
}

describe('the graph of a cell', () => {
  it('has its inputs and every operation once, in the order of the equations', () => {
    expect(described('gru')).toEqual([
      'drive x.r',
      'drive u.r',
      'add 0 1',
      'sigmoid 2 = r',
      'drive x.z',
      'drive u.z',
      'add 4 5',
      'sigmoid 6 = z',
      'drive x.n',
      'drive u.n',
      'parameter p.n',
      'add 9 10',
      'multiply 3 11',
      'add 8 12',
      'tanh 13 = n',
      'constant 1',
      'subtract 15 7',
      'multiply 16 14',
      'state h',
      'multiply 7 18',
      'add 17 19 = h',
    ])
  })

  it('shares what several equations compute, and joins sums', () => {
    const lines = described('slstm')
    // log σ(x.f + u.f) + m₋₁ and x.i + u.i stand in two equations each.
    expect(lines.filter((line) => line.startsWith('log_sigmoid'))).toHaveLength(1)
    expect(lines.filter((line) => line === 'drive x.i')).toHaveLength(1)
    const peephole = cellGraph(CELLS['peephole']!)
    const gate = peephole.nodes.find(({ signals }) => signals[0] === 'i')!
    expect(peephole.nodes[gate.inputs[0]!]!.inputs).toHaveLength(3)
  })

  it('copies a value that has a name already', () => {
    expect(described('mingru')).toEqual([
      'drive x.z',
      'sigmoid 0 = z',
      'drive x.n',
      'copy 2 = n',
      'constant 1',
      'subtract 4 1',
      'state h',
      'multiply 5 6',
      'multiply 1 3',
      'add 7 8 = h',
    ])
  })

  it('knows the node of every part of every formula', () => {
    for (const signals of Object.values(CELLS)) {
      const { nodes, nodeOf } = cellGraph(signals)
      const walk = (part: (typeof signals)[number]['expression']): void => {
        expect(nodeOf.get(part), JSON.stringify(part)).toBeTypeOf('number')
        if ('operation' in part) part.arguments.forEach(walk)
      }
      for (const { name, expression } of signals) {
        walk(expression)
        const node = nodes.find((node) => node.signals.includes(name))!
        expect(node.expression).toEqual(expression)
      }
      nodes.forEach(({ inputs }, node) => expect(inputs.every((input) => input < node)).toBe(true))
    }
  })

  it('computes the value of every node from those of its inputs', () => {
    for (const signals of Object.values(CELLS)) {
      const graph = cellGraph(signals)
      // Signals are computed in their order from random inputs, by the definitions of the operations.
      const known = new Map<string, number>()
      let seed = 3
      const values = (leaf: Leaf): number => {
        if ('constant' in leaf) return leaf.constant
        const name = leafName(leaf)
        if (!known.has(name)) known.set(name, ((seed = (seed * 16807) % 2147483647) / 2147483647) * 2 - 1)
        return known.get(name)!
      }
      const compute: Record<string, (...a: number[]) => number> = {
        add: (...a) => a.reduce((sum, b) => sum + b, 0),
        subtract: (a, b) => a! - b!,
        multiply: (a, b) => a! * b!,
        divide: (a, b) => a! / b!,
        negate: (a) => -a!,
        sigmoid: (a) => 1 / (1 + Math.exp(-a!)),
        tanh: (a) => Math.tanh(a!),
        relu: (a) => Math.max(a!, 0),
        exp: (a) => Math.exp(a!),
        log_sigmoid: (a) => -Math.log(1 + Math.exp(-a!)),
        maximum: (a, b) => Math.max(a!, b!),
      }
      const expected: number[] = []
      for (const { kind, name, inputs, signals: names, expression } of graph.nodes) {
        const arguments_ = inputs.map((input) => expected[input]!)
        const value =
          kind === 'operation'
            ? compute[name]!(...arguments_)
            : kind === 'copy'
              ? arguments_[0]!
              : values(expression as Leaf)
        names.forEach((signal) => known.set(signal, value))
        expected.push(value)
      }
      nodeValues(graph, values).forEach((value, node) => expect(value).toBeCloseTo(expected[node]!, 12))
    }
  })
})
