// Preact and htm in one module: what every part of both pages is made of. Text stays text: nothing here takes
// markup.
import htm from "./vendor/htm.js";
import { createContext, h, render } from "./vendor/preact.js";

export {
  useCallback,
  useContext,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "./vendor/preact-hooks.js";
export { createContext, render };
export const html = htm.bind(h);
