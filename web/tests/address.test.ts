import { describe, expect, it } from 'vitest'
import { DEFAULT_ZOOM, type Hold, SORTS, START, type ViewState, ZOOMS } from '../src/data/view'
import { fromAddress, toAddress } from '../src/state/address'

function again(state: ViewState): ViewState {
  const url = new URL(`http://127.0.0.1/${toAddress(state)}`)
  return fromAddress(url.search, url.hash)
}

const TEXTS = [
  '',
  'aaXbb',
  'a b+c&d=e%20#f?\n\tg',
  '床前明月光，\n',
  'e\u0301\u200b😀',
  'x'.repeat(5000),
  '月'.repeat(3000),
]

const HOLDS: Hold[] = [
  { layer: 'layer0', neuron: 4, signal: 'f', value: 0, first: 12, last: null },
  { layer: 'layer1_reverse', neuron: 0, signal: 'c', value: -0.5, first: 3, last: 3 },
  { layer: 'layer0', neuron: 2, signal: 'größe', value: 1e-7, first: 0, last: null },
  { layer: 'layer12', neuron: 99, signal: 'h_1', value: 6.5e21, first: 3, last: 7 },
]

describe('the address', () => {
  it('is empty for the view that everybody starts with', () => {
    expect(toAddress(START)).toBe('')
    expect(fromAddress('')).toEqual(START)
  })

  it('restores every view', () => {
    for (const view of ['network', 'neuron', 'health', 'gradient', 'lesson'] as const)
      for (const text of [null, ...TEXTS])
        for (const sort of SORTS)
          for (let zoom = 0; zoom < ZOOMS; zoom++) {
            const state: ViewState = {
              view,
              run: 'a run/with & signs',
              layer: zoom % 2 ? 'layer1' : null,
              signal: sort === 'number' ? null : 'c',
              neuron: 0,
              step: zoom,
              text,
              sort,
              zoom,
              feature: zoom % 2 ? 'character.is=& & not quotes.any' : null,
              filter: zoom === 2 ? 'a # b' : '',
              range: zoom > 2 ? { first: zoom, last: 2 * zoom } : null,
              threshold: zoom === 3 ? 0.25 : null,
              pair: zoom > 1 ? { first: 0, last: zoom } : null,
              checkpoint: zoom === 1 ? 0 : null,
              by: zoom % 2 ? 'change' : 'gradient',
              drive: zoom % 2 ? 'f' : null,
              source: zoom > 1 ? zoom : null,
              holds: HOLDS.slice(0, zoom),
            }
            expect(again(state)).toEqual(state)
          }
  })

  it('has only what differs from the default', () => {
    expect(toAddress({ ...START, view: 'network', run: 'counter', neuron: 3, step: 0 })).toBe(
      '?view=network&run=counter&neuron=3&step=0',
    )
  })

  it('keeps long texts out of the part that is sent to the server', () => {
    const address = toAddress({ ...START, view: 'network', run: 'counter', text: '月'.repeat(2000) })
    expect(address.split('#')[0]!.length).toBeLessThan(100)
  })

  it('survives nonsense', () => {
    expect(fromAddress('?view=network')).toEqual(START)
    expect(fromAddress('?view=sideways&run=a').view).toBe('network')
    expect(fromAddress('?view=network&run=a&neuron=-1&step=1.5&zoom=99&sort=colour&text=%E0%A4')).toMatchObject({
      neuron: null,
      step: null,
      zoom: DEFAULT_ZOOM,
      sort: 'number',
    })
    expect(fromAddress('?view=neuron&run=a').neuron).toBe(0)
    for (const range of ['5', '7-3', '-1-2', '1.5-2', '1-', 'a-b', '0-99999999999'])
      expect(fromAddress(`?view=network&run=a&range=${range}`).range).toBeNull()
    for (const threshold of ['', 'x', '0', '-1', 'Infinity'])
      expect(fromAddress(`?view=network&run=a&threshold=${threshold}`).threshold).toBeNull()
  })

  it('says what it cannot read, what was expected and what is shown', () => {
    const problems = (search: string): string[] => {
      const sentences: string[] = []
      fromAddress(search, '', (sentence) => sentences.push(sentence))
      return sentences
    }
    expect(problems('?view=network&run=a&neuron=3&step=0&sort=effect&zoom=0&range=3-4&by=change&text=')).toEqual([])
    expect(problems('?run=a')).toEqual([])
    expect(problems('?view=network&run=a&neuron=-1')).toEqual([
      'Neuron of the link: expected a whole number, got “-1”. No neuron is chosen.',
    ])
    for (const bad of ['view=bogus', 'step=1.5', 'sort=colour', 'zoom=99', 'range=7-3', 'threshold=x', 'pair=1'])
      expect(problems(`?run=a&${bad}`)).toHaveLength(1)
    for (const bad of ['checkpoint=best', 'by=magic', 'source=-2', 'nuron=3', '__proto__=3', `step=${'9'.repeat(99)}`])
      expect(problems(`?run=a&view=network&${bad}`)).toHaveLength(1)
    expect(problems('?view=network')).toEqual(['The link names no run. All runs are shown.'])
    expect(problems(`?run=a&sort=${'x'.repeat(5000)}`)[0]!.length).toBeLessThan(200)
  })
})
