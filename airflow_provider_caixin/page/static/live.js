// Data that is asked for again by itself: often while something moves, seldom else, never in a hidden tab.
import { get } from "./api.js";
import { useCallback, useEffect, useRef, useState } from "./shared/ui.js";

const OFTEN_MILLISECONDS = 2_000;
const SELDOM_MILLISECONDS = 15_000;

/**
 * Keep the answer to a question.
 *
 * `path` null asks nothing. `moving(answer)` says whether to ask often; without it the question is asked
 * once. Return {data, problem, at, reload}; after a problem the last data stays.
 */
export function useLive(path, query = {}, moving = null) {
  const question = path === null ? null : JSON.stringify([path, query]);
  const [state, setState] = useState({ question: null, data: null, problem: null, at: null });
  const [round, setRound] = useState(0);
  const movement = useRef(moving);
  movement.current = moving;

  useEffect(() => {
    if (question === null) return undefined;
    const ended = new AbortController();
    let timer = null;
    let busy = false;

    async function ask() {
      clearTimeout(timer);
      if (busy || ended.signal.aborted) return;
      busy = true;
      let wait = SELDOM_MILLISECONDS;
      try {
        const data = await get(path, query, ended.signal);
        if (movement.current?.(data)) wait = OFTEN_MILLISECONDS;
        setState({ question, data, problem: null, at: Date.now() / 1000 });
      } catch (problem) {
        if (ended.signal.aborted) return;
        setState((last) => ({
          question,
          data: last.question === question ? last.data : null,
          at: last.question === question ? last.at : null,
          problem,
        }));
        if (problem.kind === "unauthenticated") wait = null;
      } finally {
        busy = false;
      }
      if (movement.current && wait !== null && !document.hidden) timer = setTimeout(ask, wait);
    }

    const shown = () => !document.hidden && movement.current && ask();
    document.addEventListener("visibilitychange", shown);
    ask();
    return () => {
      ended.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", shown);
    };
  }, [question, round]);

  const reload = useCallback(() => setRound((last) => last + 1), []);
  const current = state.question === question ? state : { data: null, problem: null, at: null };
  return { ...current, reload };
}
