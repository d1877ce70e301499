import { describe, expect, it } from 'vitest'
import { layerMatrices } from '../engine/layer-matrices'
import { Network } from '../engine/network'
import { readMatrices } from '../src/data/matrices'
import { rows } from '../src/data/study'
import { binned, fullScale, largest, largestIn, reordered } from '../src/model/heat-map'
import { matrixKey, neuronMaps, wholeMaps } from '../src/model/weight-maps'
import { LOOKS, lookArray, NEURONS } from './looks'

const opened = LOOKS.cases.map((one) => {
  const bytes = (lookArray(one, 'weights') as unknown as Uint8Array<ArrayBuffer>).slice().buffer
  return { one, network: Network.open(one.network, bytes) }
})

describe('the weights of a layer', () => {
  for (const { one, network } of opened)
    it(`are those of the study: ${one.name}`, () => {
      const table = rows(one.weights)
      const symbols = readMatrices(layerMatrices(network, { layer: 'layer0' })).inputs
      for (const layer of ['layer0', 'layer1']) {
        const found = readMatrices(layerMatrices(network, { layer }))
        for (const { kind, gate, above, values, columns, rows: count } of found.matrices) {
          const expected = table
            .filter((row) =>
              kind === 'readout'
                ? row['kind'] === 'readout'
                : row['kind'] === (kind === 'above' ? 'input' : kind) &&
                  row['gate'] === gate &&
                  row['layer'] === (above ?? layer),
            )
            .map((row) => Number(row['value']))
          expect([...values], `${layer} ${matrixKey({ kind, gate, above } as never)}`).toEqual(expected)
          expect(values.length).toBe(count * columns)
        }
        const kinds = new Set(found.matrices.map(({ kind }) => kind))
        expect(kinds.has('readout')).toBe(layer === 'layer1')
        expect(kinds.has('above')).toBe(layer === 'layer0')
      }
      expect(symbols).toEqual(
        [...new Set(table.filter((row) => row['kind'] === 'input').map((row) => row['source']))].slice(
          0,
          symbols.length,
        ),
      )
    })

  it('of one neuron are a row for each drive', () => {
    const { one, network } = opened[0]!
    const found = readMatrices(layerMatrices(network, { layer: 'layer0' }))
    const weight = (kind: string, gate: string, to: string, source: string, layer = 'layer0'): number =>
      Number(
        rows(one.weights).find(
          (row) =>
            row['kind'] === kind &&
            row['gate'] === gate &&
            row['to'] === to &&
            row['source'] === source &&
            row['layer'] === layer,
        )!['value'],
      )
    const maps = new Map(neuronMaps(found, 3, true).map((map) => [map.key, map]))
    expect([...maps.keys()]).toEqual(['in.input', 'in.recurrent', 'out.recurrent', 'out.layer1'])
    const at = (key: string, gate: string, column: number): number => {
      const { grid, gates } = maps.get(key)!
      return grid.values[gates.indexOf(gate) * grid.columns + column]!
    }
    expect(at('in.input', 'f', 1)).toBe(weight('input', 'f', '3', 'b'))
    expect(at('in.recurrent', 'o', 5)).toBe(weight('recurrent', 'o', '3', '5'))
    expect(at('out.recurrent', 'g', 7)).toBe(weight('recurrent', 'g', '7', '3'))
    expect(at('out.layer1', 'i', 2)).toBe(weight('input', 'i', '2', '3', 'layer1'))
    const whole = wholeMaps(found, true, (gate) => gate)
    expect(whole.map(({ key }) => key).slice(0, 4)).toEqual(['x.i', 'x.f', 'x.g', 'x.o'])
    expect(whole.find(({ key }) => key === 'u.f')!.rows.neurons).toBe(true)
    expect(whole.find(({ key }) => key === 'layer1.f')!.columns.count).toBe(NEURONS)
  })

  it('need a layer', () => {
    expect(() => layerMatrices(opened[0]!.network, { layer: 'layer9' })).toThrow('LAYER_UNKNOWN')
  })
})

describe('a matrix as a picture', () => {
  const grid = { rows: 3, columns: 4, values: Float32Array.of(1, -9, 2, 3, 4, 5, -6, 7, 8, 0, 1, 2) }

  it('is drawn in another order', () => {
    expect([...reordered(grid, [2, 0], [3, 1]).values]).toEqual([2, 0, 3, -9])
    expect(fullScale(grid.values)).toMatchObject({ low: -9, high: 9 })
    expect(fullScale([0, 0]).high).toBe(1)
  })

  it('has the weight of the largest size of each block', () => {
    const picture = binned(grid, 2, 2)
    expect(picture.size).toEqual({ rows: 2, columns: 2 })
    expect([...picture.grid.values]).toEqual([-9, 7, 8, 2])
    expect(largestIn(grid, picture, { row: 0, column: 1 })).toEqual({ row: 1, column: 3 })
    expect(binned(grid, 3, 4).grid).toBe(grid)
    expect(largest(grid.values, 2)).toEqual([
      { place: 1, value: -9 },
      { place: 8, value: 8 },
    ])
  })
})
