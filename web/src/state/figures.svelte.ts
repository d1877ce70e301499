// The figures on the page that can be shared: each says how it is drawn and which numbers it shows.
import { untrack } from 'svelte'
import type { Range } from '../data/view'
import type { FigurePart } from '../draw/figure'
import type { Scope } from '../draw/strips-part'
import type { CsvColumn } from '../model/csv'
import type { Scale } from '../model/scale'

export interface SharedFigure {
  /** A short name for files, such as `strips`. */
  id: string
  /** What it shows, for readers. */
  name: string
  /** The parts of it that can be chosen; of one part, there is no choice. */
  scopes: readonly Scope[]
  /** Return the picture; null for a part that is empty. An element of SVG is a picture as it is. */
  part: (scope: Scope) => FigurePart | SVGSVGElement | null
  /** The numbers that it shows. */
  columns: (scope: Scope) => CsvColumn[]
  /** Its colour scale; null without colours. */
  scale: Scale | null
  /** The steps, and the neurons of a signal that a part shows; null for a figure that is no part of a trace. */
  shown: ((scope: Scope) => { steps: Range; neurons: readonly number[] | null }) | null
  /** The lines of Python that give its numbers, if they are not those of `shown`; null if there are none. */
  lines?: (scope: Scope) => string | null
  /** Whether it has numbers only, and no picture. */
  isTable?: boolean
}

class Figures {
  list = $state.raw<readonly SharedFigure[]>([])

  /** Add a figure; a figure of the same id takes its place. Returns a function that removes it. */
  add(figure: SharedFigure): () => void {
    // An effect that adds a figure does not follow the list.
    const change = (list: (old: readonly SharedFigure[]) => readonly SharedFigure[]): void =>
      untrack(() => void (this.list = list(this.list)))
    change((list) =>
      list.some(({ id }) => id === figure.id)
        ? list.map((other) => (other.id === figure.id ? figure : other))
        : [...list, figure],
    )
    return () => change((list) => list.filter((other) => other !== figure))
  }
}

/** The figures of this page. */
export const figures = new Figures()

/** Return a table without a picture as a figure that can be shared. */
export const tableFigure = (
  table: Required<Pick<SharedFigure, 'id' | 'name' | 'columns' | 'lines'>>,
): SharedFigure => ({
  ...table,
  scopes: ['all'],
  isTable: true,
  part: () => null,
  scale: null,
  shown: null,
})

/** What a chart in SVG says about itself. */
export type ChartFigure = Pick<SharedFigure, 'id' | 'name'> & { columns: () => CsvColumn[] }

/** Let a chart in SVG be shared: `use:sharedChart={figure}`. */
export function sharedChart(
  element: SVGSVGElement,
  figure: ChartFigure | null,
): { update: (next: ChartFigure | null) => void; destroy: () => void } {
  let remove: (() => void) | null = null
  const update = (next: ChartFigure | null): void => {
    remove?.()
    remove = next && figures.add({ ...next, scopes: ['sight'], part: () => element, scale: null, shown: null })
  }
  update(figure)
  return { update, destroy: () => remove?.() }
}

/** Return a column of a table from its numbers or texts. */
export const columnOf = (name: string, values: ArrayLike<number | string | null>, double = false): CsvColumn => ({
  name,
  length: values.length,
  value: (row) => values[row] ?? null,
  double,
})
