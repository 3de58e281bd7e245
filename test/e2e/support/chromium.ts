import { existsSync } from 'node:fs';

/*
 * The few things of playwright-core that are used, by their own types: those of the package need the types of the browser,
 * which everything else must not see.
 */

/** Elements that fit a selector. */
export interface Locator {
  first(): Locator;
  locator(selector: string): Locator;
  click(): Promise<void>;
  check(): Promise<void>;
  focus(): Promise<void>;
  count(): Promise<number>;
  innerText(): Promise<string>;
  allInnerTexts(): Promise<string[]>;
  isVisible(): Promise<boolean>;
  screenshot(): Promise<Buffer>;
}

/** A page that is open. */
export interface Page {
  readonly keyboard: { press(key: string): Promise<void> };
  readonly mouse: { move(x: number, y: number): Promise<void>; wheel(byX: number, byY: number): Promise<void> };
  on(event: 'console', listener: (message: { text(): string }) => void): void;
  on(event: 'pageerror', listener: (error: Error) => void): void;
  on(event: 'request', listener: (request: { url(): string }) => void): void;
  goto(url: string): Promise<unknown>;
  title(): Promise<string>;
  locator(selector: string): Locator;
  getByRole(role: string, options: { readonly name: string }): Locator;
  click(selector: string): Promise<void>;
  fill(selector: string, text: string): Promise<void>;
  focus(selector: string): Promise<void>;
  hover(selector: string, options: { readonly position: { readonly x: number; readonly y: number } }): Promise<void>;
  /** Evaluates an expression in the page. */
  evaluate(expression: string): Promise<unknown>;
  /** Waits until an expression is true in the page. */
  waitForFunction(expression: string): Promise<unknown>;
  screenshot(): Promise<Buffer>;
  close(): Promise<void>;
}

/** How a page is opened. */
export interface PageOptions {
  readonly viewport?: { readonly width: number; readonly height: number };
  readonly colorScheme?: 'light' | 'dark';
  readonly javaScriptEnabled?: boolean;
}

/** A browser that runs. */
export interface Browser {
  newPage(options: PageOptions): Promise<Page>;
  close(): Promise<void>;
}

const executablePath = '/usr/bin/chromium';
const packageName: string = 'playwright-core';

/** Debian's browser; other ones are not asked for. */
export const chromiumInstalled: boolean = existsSync(executablePath);

/** Starts it without a screen and without any wish to talk to anybody. */
export async function launchChromium(): Promise<Browser> {
  const { chromium } = (await import(packageName)) as { readonly chromium: { launch(options: object): Promise<Browser> } };
  return chromium.launch({
    executablePath,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
