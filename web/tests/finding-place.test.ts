import { describe, expect, it } from 'vitest'
import type { Finding } from '../src/data/findings'
import { findingAt } from '../src/model/finding-place'

const about = (neuron: number, signal: string, feature: string | null): Finding =>
  ({
    kind: 'marks',
    place: { view: 'network', text: null, layer: 'layer0', signal, neuron, step: 1, feature },
  }) as unknown as Finding

describe('the finding of a view', () => {
  const findings = [about(4, 'c', 'task.owed'), about(4, 'c', 'task.at_x'), about(4, 'h', null), about(5, 'c', null)]
  const shown = { layer: 'layer0', signal: 'c', neuron: 4, feature: null }

  it('is about the neuron and the signal that are shown', () => {
    expect(findingAt(findings, shown)).toBe(findings[0])
    expect(findingAt(findings, { ...shown, signal: 'h' })).toBe(findings[2])
    expect(findingAt(findings, { ...shown, neuron: 5 })).toBe(findings[3])
  })

  it('is the one about the feature over the strips, if there are several', () => {
    expect(findingAt(findings, { ...shown, feature: 'task.at_x' })).toBe(findings[1])
  })

  it('is none for another neuron, signal or layer, or without a neuron', () => {
    for (const other of [{ neuron: 6 }, { signal: 'f' }, { layer: 'layer1' }, { neuron: null }])
      expect(findingAt(findings, { ...shown, ...other })).toBeNull()
  })
})
