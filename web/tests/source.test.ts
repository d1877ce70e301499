import { describe, expect, it } from 'vitest'
import type { Layer } from '../src/data/run'
import { mainSignal } from '../src/model/main-signal'

function layer(...names: string[]): Layer {
  const signals = names.map((name) => ({ name, title: name, range: [-1, 1], formula: '', expression: { constant: 0 } }))
  return { name: 'layer0', neurons: 1, signals, drives: [], parameters: [] } as unknown as Layer
}

describe('the signal to begin with', () => {
  it('is the memory of a network that starts afresh, and what it says where nothing ever does', () => {
    expect(mainSignal(layer('i', 'f', 'c', 'h'), '\n')?.name).toBe('c')
    expect(mainSignal(layer('i', 'f', 'c', 'h'), null)?.name).toBe('h')
  })

  it('is the hidden state of a cell without a cell state', () => {
    for (const end of ['\n', null]) expect(mainSignal(layer('r', 'z', 'n', 'h'), end)?.name).toBe('h')
  })
})
