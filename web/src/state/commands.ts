// The commands of the palette: pages, runs, signals, layers, neurons, features, orders and settings.
import { PANEL_TABS, type PanelTab, SCALES, type Sort, SORTS, START, type View } from '../data/view'
import { catalogue, LANGUAGES, NAMES } from '../messages/catalogue.svelte'
import { type Code, text } from '../messages/text'
import type { Command } from '../model/command-search'
import { findingSentence, inOrder, viewOf } from '../model/findings'
import { chipText, scoreText } from '../model/labels'
import { actCommands } from './act-commands'
import type { Explorer } from './explorer.svelte'
import { TABS } from './tabs'
import { PALETTES, type PaletteName, type Scheme, SCHEMES, theme } from './theme.svelte'

/** Words that find a page although its name does not have them. */
const PAGE_WORDS: Partial<Record<View, Code>> = {
  network: 'COMMANDS_WORDS_NETWORK',
  learning: 'COMMANDS_WORDS_LEARNING',
  gradient: 'COMMANDS_WORDS_GRADIENT',
  health: 'COMMANDS_WORDS_HEALTH',
}
const SORT_TITLES: Record<Sort, Code> = {
  number: 'CONTROLS_SORT_NUMBER',
  activity: 'CONTROLS_SORT_ACTIVITY',
  similar: 'CONTROLS_SORT_SIMILAR',
  alike: 'CONTROLS_SORT_ALIKE',
  label: 'CONTROLS_SORT_LABEL',
  score: 'CONTROLS_SORT_SCORE',
  effect: 'CONTROLS_SORT_EFFECT',
}
const PANEL_TITLES: Record<PanelTab, Code> = {
  equations: 'PANEL_EQUATIONS',
  diagram: 'PANEL_DIAGRAM',
  space: 'PANEL_SPACE',
}
const PANEL_WORDS: Partial<Record<PanelTab, Code>> = {
  diagram: 'COMMANDS_WORDS_DIAGRAM',
  space: 'COMMANDS_WORDS_SPACE',
}
const SCHEME_TITLES: Record<Scheme, Code> = {
  system: 'APPEARANCE_SYSTEM',
  light: 'APPEARANCE_LIGHT',
  dark: 'APPEARANCE_DARK',
}
const PALETTE_TITLES: Record<PaletteName, Code> = { hue: 'APPEARANCE_HUE', lightness: 'APPEARANCE_LIGHTNESS' }

/** Return every command that the present view has. */
export function commandsOf(explorer: Explorer): Command[] {
  return [
    ...pageCommands(explorer),
    ...actCommands(explorer),
    ...runCommands(explorer),
    ...findingCommands(explorer),
    ...viewCommands(explorer),
    ...settings(explorer),
  ]
}

function pageCommands(explorer: Explorer): Command[] {
  const group = text('COMMANDS_PAGE')
  const home = {
    title: text('APP_RUNS'),
    words: text('COMMANDS_WORDS_HOME'),
    group,
    run: () => explorer.go({ ...START }),
  }
  if (!explorer.run) return [home]
  const pages = TABS.map(([view, code]) => ({
    title: text(code),
    words: PAGE_WORDS[view] ? text(PAGE_WORDS[view]) : '',
    group,
    run: () => explorer.go(view === 'neuron' ? { view, neuron: explorer.cursor.neuron ?? 0 } : { view }),
  }))
  return [...pages, home]
}

function runCommands(explorer: Explorer): Command[] {
  const group = text('COMMANDS_RUN')
  return (explorer.list?.runs ?? []).map(({ name, task, cell }) => ({
    title: name,
    words: `${task.title} ${task.name} ${cell.title} ${cell.name}`,
    group,
    run: () => explorer.go({ ...START, view: 'network', run: name }),
  }))
}

/** Return the findings of all runs that are measured. */
function findingCommands(explorer: Explorer): Command[] {
  return (explorer.list?.runs ?? []).flatMap((run) =>
    inOrder((explorer.findings.byRun.get(run.name)?.findings ?? []).map((finding) => ({ run, finding }))).map(
      (item) => ({
        title: findingSentence(item.finding),
        words: `${item.finding.kind} ${run.name}`,
        group: text('COMMANDS_FINDING', { run: run.name }),
        run: () => explorer.go(viewOf(item)),
      }),
    ),
  )
}

function viewCommands(explorer: Explorer): Command[] {
  const { run, layer } = explorer
  if (!run || !layer) return []
  const signals = layer.signals.map(({ name, title }) => ({
    title: text('CONTROLS_SIGNAL_NAME', { name, title }),
    words: '',
    group: text('CONTROLS_SIGNAL'),
    run: () => explorer.go({ signal: name }),
  }))
  const layers = run.layers.map(({ name }) => ({
    title: name,
    words: '',
    group: text('CONTROLS_LAYER'),
    run: () => explorer.go({ layer: name }),
  }))
  const neuron = explorer.state.neuron ?? 0
  const orders = SORTS.map((sort) => ({
    title: text(SORT_TITLES[sort], { neuron }),
    words: '',
    group: text('CONTROLS_SORT'),
    run: () => explorer.go({ sort }),
  }))
  const features = [...(explorer.studies.labels.value?.features ?? [])].map(([feature, title]) => ({
    title,
    words: feature,
    group: text('COMMANDS_FEATURE'),
    run: () => explorer.go({ feature }),
  }))
  const panels = PANEL_TABS.map((panel) => ({
    title: text(PANEL_TITLES[panel]),
    words: PANEL_WORDS[panel] ? text(PANEL_WORDS[panel]) : '',
    group: text('COMMANDS_PANEL'),
    run: () => explorer.go({ panel, ...(explorer.state.view === 'neuron' ? {} : { view: 'network' as const }) }),
  }))
  const scales = SCALES.map((scale) => ({
    title: text(scale === 'all' ? 'NETWORK_SCALE' : 'SCALE_NEURON'),
    words: text('COMMANDS_WORDS_SCALE'),
    group: text('SCALE_NAME'),
    run: () => explorer.go({ scale, ...(explorer.state.view === 'learning' ? {} : { view: 'network' as const }) }),
  }))
  return [
    ...signals,
    ...panels,
    ...scales,
    ...(layers.length > 1 ? layers : []),
    ...neuronCommands(explorer, layer.neurons),
    ...features,
    ...orders,
  ]
}

function neuronCommands(explorer: Explorer, count: number): Command[] {
  const group = text('COMMANDS_NEURON')
  return Array.from({ length: count }, (_, neuron) => {
    const label = explorer.labelOf(neuron)
    const name = text('COMMANDS_NEURON_NUMBER', { neuron })
    return {
      title: label ? text('COMMANDS_LABEL', { name, label: chipText(label), score: scoreText(label) }) : name,
      words: `n ${label?.feature ?? ''}`,
      group,
      run: () => explorer.go({ view: 'neuron', neuron }),
    }
  })
}

function settings(explorer: Explorer): Command[] {
  const schemes = SCHEMES.map((scheme) => ({
    title: text(SCHEME_TITLES[scheme]),
    words: text('APPEARANCE'),
    group: text('APPEARANCE_SCHEME'),
    run: () => theme.chooseScheme(scheme),
  }))
  const palettes = PALETTES.map((palette) => ({
    title: text(PALETTE_TITLES[palette]),
    words: text('APPEARANCE'),
    group: text('APPEARANCE_PALETTE'),
    run: () => theme.choosePalette(palette),
  }))
  const languages = LANGUAGES.map((language) => ({
    title: NAMES[language],
    words: text('COMMANDS_WORDS_LANGUAGE'),
    group: text('COMMANDS_LANGUAGE'),
    run: () => void catalogue.choose(language),
  }))
  const keys = {
    title: text('KEYS_TITLE'),
    words: '?',
    group: text('COMMANDS_HELP'),
    run: () => void (explorer.keys = true),
  }
  const tour = {
    title: text('TOUR_TITLE'),
    words: '',
    group: text('COMMANDS_HELP'),
    run: () => explorer.startTour(),
  }
  const share = {
    title: text('SHARE_TITLE_DIALOG'),
    words: text('COMMANDS_WORDS_SHARE'),
    group: text('COMMANDS_SHARE'),
    run: () => void (explorer.share = true),
  }
  return [keys, share, tour, ...schemes, ...palettes, ...languages]
}
