import { describe, expect, it } from 'vitest'
import type { Layer, Run } from '../../src/data/run'
import { type Hold, START } from '../../src/data/view'
import { fromAddress } from '../../src/state/address'
import { holdText, parseHold, parseSet, setText } from '../../src/state/hold-address'
import { checkRun } from '../../src/state/link-check'

const hold: Hold = { layer: 'layer0', neuron: 4, signal: 'f', value: 0, first: 12, last: null }

describe('a set of holds in the address', () => {
  it('has its name and its holds', () => {
    const set = { name: 'no: memory', holds: [hold, { ...hold, signal: 'c', value: -0.5, last: 12 }] }
    expect(setText(set)).toBe('no: memory:0.4.f.0.12-,0.4.c.-0.5.12')
    expect(parseSet(setText(set))).toEqual(set)
  })

  it('is refused without a name, with a long one, and with a wrong hold', () => {
    for (const wrong of ['', 'A', ':0.4.f.0.12-', ' :0.4.f.0.12-', 'A:', 'A:nonsense', `${'x'.repeat(41)}:0.4.f.0.1`])
      expect(parseSet(wrong)).toBeNull()
  })

  it('is left out if the run does not have its signals, and so is a comparison with it', () => {
    const notes: string[] = []
    const view = fromAddress(
      '?view=network&run=r&sets=A:0.4.f.0.12-&sets=A:0.1.f.0.1&sets=B:0.99.f.0.1&against=B',
      '',
      (note) => notes.push(note),
    )
    expect(view.sets.map(({ name }) => name)).toEqual(['A', 'B'])
    expect(notes).toHaveLength(1)
    const layer = { name: 'layer0', neurons: 5, signals: [{ name: 'f' }] } as unknown as Layer
    const { state, sentences } = checkRun(view, { layers: [layer], checkpoints: [] } as unknown as Run)
    expect(state.sets.map(({ name }) => name)).toEqual(['A'])
    expect(state.against).toBeNull()
    expect(sentences).toHaveLength(2)
  })
})

describe('a hold in the address', () => {
  it('has its layer, neuron, signal, value and steps', () => {
    expect(holdText(hold)).toBe('0.4.f.0.12-')
    expect(holdText({ ...hold, last: 12 })).toBe('0.4.f.0.12')
    expect(holdText({ ...hold, layer: 'layer1_reverse', value: -0.5, last: 15 })).toBe('1r.4.f.-0.5.12-15')
  })

  it('is read as it was written, whatever its value', () => {
    for (const value of [0, 1, -1, 0.1, -0.25, 1e-9, -3.5e30, 123456.75, Math.fround(0.7)])
      for (const last of [null, 12, 40]) {
        const written = { ...hold, value, last }
        expect(parseHold(holdText(written))).toEqual(written)
      }
  })

  it('is refused if a part is missing or is no number', () => {
    const wrong = ['', '0.4.f.0', '0.4.f.12-', '0.4..0.12-', 'x.4.f.0.12-', '0.-4.f.0.12-', '0.4.f.NaN.12-']
    for (const part of [...wrong, '0.4.f.1e999.3', '0.4.f.0.12-3', '0.4.f.0.-3', '0.4.f.0x1.3', '0.4.f. .3'])
      expect(parseHold(part)).toBeNull()
  })

  it('is named and left out if it cannot be read, and the others stay', () => {
    const sentences: string[] = []
    const search = '?view=network&run=a&hold=0.4.f.0.12-&hold=nonsense&hold=0.1.c.2.5.3'
    const { holds } = fromAddress(search, '', (sentence) => sentences.push(sentence))
    expect(holds.map(holdText)).toEqual(['0.4.f.0.12-', '0.1.c.2.5.3'])
    expect(sentences).toHaveLength(1)
    expect(sentences[0]).toContain('“nonsense”')
    const many = fromAddress(`?view=network&run=a${'&hold=0.4.f.0.12-'.repeat(105)}`).holds
    expect(many).toHaveLength(100)
  })

  it('is left out if the run has no such layer, neuron or signal', () => {
    const layer = { name: 'layer0', neurons: 5, signals: [{ name: 'f' }], drives: [] } as unknown as Layer
    const run = { layers: [layer], checkpoints: [] } as unknown as Run
    const wrong = [
      { ...hold, layer: 'layer1' },
      { ...hold, neuron: 5 },
      { ...hold, signal: 'q' },
    ]
    const { state, sentences } = checkRun({ ...START, view: 'network', run: 'a', holds: [...wrong, hold] }, run)
    expect(state.holds).toEqual([hold])
    expect(sentences).toHaveLength(3)
  })
})
