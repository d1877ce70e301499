// The explorer as a whole page.
import { mount } from 'svelte'
import { localized } from '../data/localized'
import type { Source } from '../data/source'
import '../page.css'
import App from '../pages/App.svelte'
import { Explorer } from '../state/explorer.svelte'

/**
 * Show the explorer of a source in an element of the document.
 *
 * @param opensOnlyRun whether the page of the only run takes the place of a list of one run
 */
export function mountPage(target: HTMLElement, source: Source, opensOnlyRun: boolean): void {
  target.replaceChildren()
  mount(App, { target, props: { explorer: new Explorer(localized(source), opensOnlyRun) } })
}
