// The text as a page, as a figure that can be shared.
import { drawPage, type PageScene } from '../draw/page'
import type { Scope } from '../draw/strips-part'
import { text } from '../messages/text'
import { stepsOfLine } from '../model/page-lines'
import type { Picture } from '../model/picture'
import { commonScale } from '../model/scale'
import { stepColumn, stepColumns } from '../model/share-columns'
import type { SharedFigure } from './figures.svelte'

interface PageView {
  width: number
  height: number
  top: number
}

/**
 * Return a page of text as a figure.
 *
 * @param full the height of the whole page
 * @param view returns the window in which it is scrolled
 */
export function pageFigure(
  scene: PageScene,
  picture: Picture,
  signal: string,
  full: number,
  view: () => PageView,
): SharedFigure {
  const { geometry: g, lines, panes } = scene
  const windowOf = (scope: Scope): PageView => {
    const shown = view()
    if (scope === 'all') return { ...shown, height: full, top: 0 }
    return { ...shown, height: Math.min(shown.height, full - shown.top) }
  }
  const stepsIn = ({ height, top }: PageView): { first: number; last: number } => {
    const firstLine = Math.max(0, Math.floor(top / g.pitch))
    const lastLine = Math.min(lines.first.length, Math.ceil((top + height) / g.pitch)) - 1
    return { first: stepsOfLine(lines, firstLine).from, last: stepsOfLine(lines, lastLine).to - 1 }
  }
  return {
    id: 'page',
    name: text('PAGE_PICTURE', { neurons: panes.map(({ neuron }) => neuron).join(text('LIST_NAMES')) }),
    scopes: ['sight', 'all'],
    scale: commonScale(panes),
    part: (scope) => {
      const { width, height, top } = windowOf(scope)
      if (!lines.steps || height <= 0) return null
      return { width, height, draw: (pen, x, y, ratio) => drawPage(pen, scene, { width, height, top, x, y, ratio }) }
    },
    columns: (scope) => {
      const steps = stepsIn(windowOf(scope))
      const name = `${picture.layer.name}.${signal}`
      const values = panes.map(({ neuron, values }) => stepColumn(`${name}.${neuron}`, steps, (t) => values[t]!))
      return [...stepColumns(picture.run, picture.trace, steps), ...values]
    },
    shown: (scope) => ({ steps: stepsIn(windowOf(scope)), neurons: panes.map(({ neuron }) => neuron) }),
  }
}
