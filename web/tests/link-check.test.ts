import { describe, expect, it } from 'vitest'
import type { Layer, Run } from '../src/data/run'
import { START, type ViewState } from '../src/data/view'
import { checkRun, checkText } from '../src/state/link-check'

const layer = (name: string, neurons: number): Layer =>
  ({
    name,
    neurons,
    signals: ['i', 'c', 'h'].map((signal) => ({ name: signal })),
    drives: [{ name: 'x.i' }, { name: 'u.i' }],
  }) as unknown as Layer
const RUN = { layers: [layer('layer0', 10), layer('layer1', 3)], checkpoints: [0, 50] } as unknown as Run
const at = (change: Partial<ViewState>): ViewState => ({ ...START, view: 'network', run: 'a', ...change })

describe('a link checked against its run', () => {
  it('keeps every part that the run has', () => {
    const state = at({ layer: 'layer1', signal: 'c', neuron: 2, step: 900, drive: 'i', source: 2, checkpoint: 50 })
    expect(checkRun(state, RUN)).toEqual({ state, sentences: [] })
    expect(checkRun(at({ view: 'runs', layer: 'layer9' }), RUN).sentences).toEqual([])
  })

  it('names and removes each part that the run does not have', () => {
    const { state, sentences } = checkRun(
      at({ layer: 'layer7', signal: 'zz', neuron: 99, source: 10, drive: 'q', checkpoint: 3 }),
      RUN,
    )
    expect(state).toEqual(at({}))
    expect(sentences).toEqual([
      'Layer of the link: expected layer0, layer1, got “layer7”. layer0 is shown.',
      'Signal of the link: expected one of layer0: i, c, h, got “zz”. The usual one is shown.',
      'Neuron of the link: expected 0 to 9 of layer0, got “99”. No neuron is chosen.',
      'Source of the link: expected 0 to 9 of layer0, got “10”. Neuron 0 is shown.',
      'Drive of the link: expected i, got “q”. Another one is shown.',
      'Checkpoint of the link: expected one of 0, 50, got “3”. The best weights are shown.',
    ])
  })

  it('checks the neuron against the layer that is shown', () => {
    expect(checkRun(at({ layer: 'layer1', neuron: 3 }), RUN).sentences).toHaveLength(1)
    expect(checkRun(at({ view: 'lesson', neuron: 3 }), RUN).sentences).toHaveLength(1)
    expect(checkRun(at({ view: 'neuron', neuron: 10 }), RUN).state.neuron).toBe(0)
  })
})

describe('a link checked against its text', () => {
  it('keeps the steps that the text has', () => {
    const state = at({ step: 4, range: { first: 1, last: 4 }, pair: { first: 0, last: 4 } })
    expect(checkText(state, 5)).toEqual({ state, sentences: [] })
  })

  it('names and removes each step that the text does not have', () => {
    const { state, sentences } = checkText(
      at({ step: 5, range: { first: 1, last: 5 }, pair: { first: 7, last: 9 } }),
      5,
    )
    expect(state).toEqual(at({}))
    expect(sentences).toEqual([
      'Step of the link: expected 0 to 4, the steps of this text, got “5”. No step is chosen.',
      'Range of the link: expected 0 to 4, the steps of this text, got “1-5”. No characters are chosen.',
      'Pair of the link: expected 0 to 4, the steps of this text, got “7-9”. No pair of steps is chosen.',
    ])
    expect(checkText(at({ step: 0 }), 0).sentences).toHaveLength(1)
  })
})
