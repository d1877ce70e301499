// The commands that act: hold, write, compare, play the film, share; and the sections of the page of health.
import { type Code, text } from '../messages/text'
import type { Command } from '../model/command-search'
import { toggles } from './toggles.svelte'
import type { Explorer } from './explorer.svelte'

const MAX_WAIT_MS = 20_000

/**
 * Bring a part of the page into sight as soon as it is there, with the focus if it takes it. It stays in sight while what
 * is above it is loaded, until the reader does something.
 */
function reveal(testid: string): void {
  const options = { block: testid.startsWith('slider') ? 'nearest' : 'start' } as const
  let found = false
  const seek = (): void => {
    const part = document.querySelector<HTMLElement>(`[data-testid="${testid}"]`)
    if (!part) return
    part.scrollIntoView(options)
    if (!found) part.focus({ preventScroll: true })
    found = true
  }
  const sizes = new ResizeObserver(seek)
  const parts = new MutationObserver(() => found || seek())
  const done = new AbortController()
  const stop = (): void => {
    done.abort()
    sizes.disconnect()
    parts.disconnect()
  }
  sizes.observe(document.body)
  parts.observe(document.body, { childList: true, subtree: true })
  // The key that chose the command is still on its way.
  setTimeout(() => {
    for (const act of ['wheel', 'pointerdown', 'keydown']) addEventListener(act, stop, { signal: done.signal })
  })
  setTimeout(stop, MAX_WAIT_MS)
}

/** Return the commands that act on the run. */
export function actCommands(explorer: Explorer): Command[] {
  if (!explorer.run || !explorer.hasWeights) return []
  const { run } = explorer
  const group = text('COMMANDS_ACT')
  const onNetwork = explorer.state.view === 'network' ? {} : { view: 'network' as const }
  const write = {
    title: text('WRITE_BUTTON'),
    words: text('COMMANDS_WORDS_WRITE'),
    group,
    run: () => {
      explorer.go(onNetwork)
      explorer.writing.show()
    },
  }
  const compare = {
    title: text('COMPARE_CHOOSE'),
    words: text('COMMANDS_WORDS_COMPARE'),
    group,
    run: () => void (toggles.comparing = true),
  }
  const film = {
    title: text('FILM_NAME'),
    words: text('COMMANDS_WORDS_FILM'),
    group,
    run: () => {
      explorer.go({ view: 'learning' })
      reveal('film')
    },
  }
  return [
    ...(explorer.writing.available ? [write] : []),
    compare,
    ...(run.checkpoints.length ? [film] : []),
    ...holdCommands(explorer),
    ...sectionCommands(explorer),
  ]
}

function holdCommands(explorer: Explorer): Command[] {
  const { layer, cursor, state, shownSignal } = explorer
  const { neuron, step } = cursor
  if (!layer || !shownSignal || neuron === null || step === null) return []
  const group = text('HOLD_BUTTON')
  const words = text('COMMANDS_WORDS_HOLD')
  const inView = state.view === 'network' || state.view === 'neuron' ? {} : { view: 'network' as const }
  const zero = {
    title: text('COMMANDS_HOLD_ZERO', { signal: shownSignal.name, neuron, step }),
    words,
    group,
    run: () => {
      explorer.go(inView)
      explorer.holdAtZero()
    },
  }
  const signals = layer.signals.map(({ name }) => ({
    title: text('HOLD_BUTTON_NAME', { signal: name, neuron }),
    words,
    group,
    run: () => {
      explorer.go({ ...inView, neuron, step, panel: 'equations' })
      reveal(`slider-${name}`)
    },
  }))
  const free = { title: text('HOLDS_REMOVE_ALL'), words, group, run: () => explorer.holding.remove(null) }
  return [zero, ...signals, ...(state.holds.length ? [free] : [])]
}

const SECTIONS: [string, Code, Code][] = [
  ['distributions', 'DISTRIBUTIONS', 'COMMANDS_WORDS_DISTRIBUTIONS'],
  ['snapshot', 'SNAPSHOT', 'COMMANDS_WORDS_SNAPSHOT'],
  ['weight-maps', 'WEIGHTS_NAME', 'COMMANDS_WORDS_WEIGHTS'],
]

function sectionCommands(explorer: Explorer): Command[] {
  return SECTIONS.map(([testid, title, words]) => ({
    title: text(title),
    words: text(words),
    group: text('COMMANDS_HEALTH'),
    run: () => {
      explorer.go({ view: 'health' })
      reveal(testid)
    },
  }))
}
