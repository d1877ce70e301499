import { describe, expect, it } from 'vitest'
import { cellGraph } from '../src/model/cell-graph'
import { layeredLayout, nearest } from '../src/model/layered-layout'
import { CELLS } from './cells'

/** Inputs at the left, but constants and parameters where they are used; or everything where it is used. */
const isLate =
  (name: string, latest: boolean) =>
  (node: number): boolean =>
    latest || ['constant', 'parameter'].includes(cellGraph(CELLS[name]!).nodes[node]!.kind)
const inputsOf = (name: string): number[][] => cellGraph(CELLS[name]!).nodes.map(({ inputs }) => inputs)

describe('a layout in layers', () => {
  it('leads every wire to a higher layer, and keeps nodes apart', () => {
    for (const name of Object.keys(CELLS))
      for (const latest of [false, true]) {
        const inputs = inputsOf(name)
        const { nodes, wires, layers, breadth } = layeredLayout(inputs, isLate(name, latest))
        expect(wires).toHaveLength(inputs.flat().length)
        for (const { from, to, points } of wires) {
          expect(points[0]).toEqual(nodes[from])
          expect(points.at(-1)).toEqual(nodes[to])
          // A wire has a point in every layer that it passes.
          points.forEach(({ along }, k) => expect(along).toBe(nodes[from]!.along + k))
        }
        for (const [a, one] of nodes.entries())
          for (const other of nodes.slice(0, a))
            if (one.along === other.along) expect(Math.abs(one.across - other.across)).toBeGreaterThan(1 - 1e-9)
        nodes.forEach(({ along, across }) => {
          expect(along).toBeLessThan(layers)
          expect(across).toBeGreaterThan(-1e-9)
          expect(across).toBeLessThan(breadth + 1e-9)
        })
      }
  })

  it('has its inputs in the first layer, or next to what uses them', () => {
    const inputs = inputsOf('peephole')
    const first = layeredLayout(inputs).nodes
    inputs.forEach((from, node) => expect(first[node]!.along === 0).toBe(!from.length))
    const latest = layeredLayout(inputs, () => true).nodes
    inputs.forEach((_, node) => {
      const users = inputs.flatMap((from, user) => (from.includes(node) ? [latest[user]!.along] : []))
      if (users.length) expect(latest[node]!.along).toBe(Math.min(...users) - 1)
    })
  })

  it('has no crossings where a cell can be drawn without', () => {
    const crossings = (name: string): number[] =>
      [false, true].map((latest) => layeredLayout(inputsOf(name), isLate(name, latest)).crossings)
    for (const name of Object.keys(CELLS))
      if (!['peephole', 'slstm'].includes(name)) expect(crossings(name), name).toEqual([0, 0])
    // What a gate reads of the cell state crosses another wire.
    expect(crossings('peephole')).toEqual([1, 0])
    expect(crossings('slstm')).toEqual([2, 1])
  })

  it('is narrow enough for the panel if inputs are next to what uses them', () => {
    for (const name of Object.keys(CELLS))
      expect(layeredLayout(inputsOf(name), () => true).breadth, name).toBeLessThan(8)
  })

  it('lays out nothing, one node, and a large cell', () => {
    expect(layeredLayout([])).toEqual({ nodes: [], wires: [], layers: 0, breadth: 0, crossings: 0 })
    expect(layeredLayout([[]]).nodes).toEqual([{ along: 0, across: 0 }])
    const large = Array.from({ length: 600 }, (_, k) => (k < 20 ? [] : [k - 1 - (k % 7), k - 20 + (k % 3)]))
    expect(layeredLayout(large).nodes).toHaveLength(600)
  })

  it('finds the nearest positions in order', () => {
    expect(nearest([0, 5, 9], [1, 1, 1], [0, 1, 1])).toEqual([0, 5, 9])
    expect(nearest([3, 3, 3], [1, 1, 1], [0, 1, 1])).toEqual([2, 3, 4])
    expect(nearest([5, 0], [3, 1], [0, 1])).toEqual([3.5, 4.5])
  })
})
