import { describe, expect, it } from 'vitest'
import type { Run, Summary, Unit } from '../../src/data/run'
import { START, type ViewState } from '../../src/data/view'
import { carriedChange, fittingView } from '../../src/state/carried-view'

const summary = (unit: Unit, task: string): Pick<Summary, 'unit' | 'task' | 'name'> => ({
  name: `${task} run`,
  unit,
  task: { name: task, title: '', question: '' },
})
const run = (signals: string[], neurons: number, vocabulary: string[], unit: Unit = 'character'): Run =>
  ({ unit, vocabulary, layers: [{ name: 'layer0', neurons, signals: signals.map((name) => ({ name })) }] }) as never
const seen: ViewState = { ...START, view: 'health', run: 'a', text: 'aXb', signal: 'f', layer: 'layer0', step: 2 }

describe('the view on the way to another run', () => {
  it('keeps the page, the text and the signal, and forgets the step', () => {
    expect(carriedChange(seen, summary('character', 'counter'), summary('character', 'copy'))).toEqual({
      beside: null,
      run: 'copy run',
      view: 'health',
      text: 'aXb',
      signal: 'f',
      layer: 'layer0',
      zoom: START.zoom,
      as: 'strips',
      panel: 'equations',
      scale: 'all',
      sort: null,
      write: null,
      temperature: null,
      seed: null,
      neuron: null,
    })
    expect(carriedChange({ ...seen, view: 'runs' }, null, summary('word', 'sentiment')).view).toBe('network')
  })

  it('leaves out a text of another kind', () => {
    const text = (from: Unit, to: Unit, task = 'sentiment'): unknown =>
      carriedChange(seen, summary(from, 'sentiment'), summary(to, task)).text
    expect(text('word', 'word')).toBe('aXb')
    expect(text('word', 'word', 'tagging')).toBeNull()
    expect(text('character', 'word')).toBeNull()
    expect(text('number', 'number', 'addition')).toBeNull()
  })

  it('is left without what the run does not have', () => {
    const view = { ...seen, neuron: 7 }
    expect(fittingView(view, run(['i', 'f'], 10, ['a', 'b', 'X']))).toEqual(view)
    expect(fittingView(view, run(['z', 'h'], 5, ['a', 'b']))).toEqual({ ...view, signal: null, neuron: 4, text: null })
    expect(fittingView({ ...view, layer: 'layer3' }, run(['f'], 10, [], 'byte'))).toEqual({ ...view, layer: null })
  })
})
