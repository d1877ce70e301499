// Names of networks beside each other: the cell, and what differs.
import { titleOf } from '../data/localized'
import type { PlaygroundIndex } from '../data/playground'
import { text } from '../messages/text'
import type { Experiment } from './experiment'
import { type Difference, differencesOf, valueOf } from './side-by-side'

/** Return the name of each network, such as “LSTM, 3 neurons”. */
export function networkNames(networks: readonly Experiment[], index: PlaygroundIndex): string[] {
  const differences = differencesOf(networks, index)
  return networks.map((network) => {
    const about = index.cells.find(({ name }) => name === network.cell)!.layer.cell
    const parts = [titleOf('cell', network.cell, about.title)]
    for (const name of differences) {
      const value = valueOf(network, name, index)
      if (value !== null) parts.push(wordsOf(name, value))
    }
    return parts.join(text('LIST_CLAUSES'))
  })
}

function wordsOf(name: Difference, value: number): string {
  switch (name) {
    case 'neurons':
      return text('PLAYGROUND_NEURONS', { count: value })
    case 'layers':
      return text('PLAYGROUND_LAYERS', { count: value })
    case 'forget':
      return text('PLAYGROUND_HAS_FORGET', { value })
    case 'rate':
      return text('PLAYGROUND_HAS_RATE', { value })
    case 'clip':
      return text('PLAYGROUND_HAS_CLIP', { value })
  }
}
