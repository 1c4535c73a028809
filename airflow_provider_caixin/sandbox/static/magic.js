// The magic numbers: what to send to, to see a case.
import { codeInWords, faultInWords, knownCodes, knownFaults } from "./meaning.js";
import { Badge } from "./shared/parts.js";
import { html } from "./shared/ui.js";
import { t } from "./shared/words.js";

export const Magic = () => html`
  <p class="soft">${t("magic.text")}</p>
  <p class="soft">${t("magic.key")}</p>
  <h3>${t("magic.codes")}</h3>
  <${Cases} entries=${knownCodes()} inWords=${codeInWords} />
  <h3>${t("magic.faults")}</h3>
  <${Cases} entries=${knownFaults()} inWords=${faultInWords} />
`;

const Cases = ({ entries, inWords }) => html`
  <ul class="magic">
    ${entries.map(
      ({ number, billed, mobile, mobile_first_try: firstTry }) => html`
        <li key=${number}>
          <code>${number}</code>
          <span>${inWords(number)} ${billed && html`<${Badge} tone="good">${t("magic.billed")}<//>`}</span>
          <span class="soft"><code>${mobile}</code> ${t("always")}</span>
          <span class="soft"><code>${firstTry}</code> ${t("once")}</span>
        </li>
      `,
    )}
  </ul>
`;
