import { describe, expect, it } from 'vitest'
import { search } from '../src/model/command-search'

const commands = [
  { title: 'Health', words: 'page' },
  { title: 'Open counter', words: 'run LSTM 10' },
  { title: 'Open counter-gru', words: 'run GRU 10' },
  { title: 'Neuron 7', words: 'n' },
  { title: 'Neuron 77', words: 'n inside quotes' },
  { title: 'Neuron 177', words: 'n' },
  { title: '打开 计数', words: 'run' },
  { title: 'Café', words: '' },
]
const titles = (query: string, most = 10): string[] => search(query, commands, most).map(({ title }) => title)

describe('the search of commands', () => {
  it('finds by words of the title and by further words', () => {
    expect(titles('gru')).toEqual(['Open counter-gru'])
    expect(titles('quote')).toEqual(['Neuron 77'])
    expect(titles('health')).toEqual(['Health'])
  })

  it('has the whole word before the start of a word and before its inside', () => {
    expect(titles('n 77')).toEqual(['Neuron 77', 'Neuron 177'])
    expect(titles('n 7')).toEqual(['Neuron 7', 'Neuron 77', 'Neuron 177'])
    expect(titles('counter', 1)).toEqual(['Open counter'])
  })

  it('wants every word, whatever their order, case and accents', () => {
    expect(titles('GRU open')).toEqual(['Open counter-gru'])
    expect(titles('cafe')).toEqual(['Café'])
    expect(titles('计数')).toEqual(['打开 计数'])
    expect(titles('counter nothing')).toEqual([])
  })

  it('lists the first ones for no word', () => {
    expect(titles('  ', 3)).toEqual(['Health', 'Open counter', 'Open counter-gru'])
  })
})
