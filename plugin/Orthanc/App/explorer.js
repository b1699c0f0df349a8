// SPDX-License-Identifier: GPL-3.0-or-later
// Orthanc Explorer: a way to the worklist from its first page, and on a study's page the study's flag.
(function () {
  "use strict";
  // Relative to /app/explorer.html, so that it works behind any path prefix.
  var root = "../gantry/";

  /** Everything shown goes through textContent, so that no name can become markup. */
  function element(tag, text) {
    var made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function addWorklistLink() {
    var form = document.getElementById("lookup-form");
    if (!form || document.getElementById("gantry-worklist")) return;
    var link = element("a", "Gantry worklist");
    link.id = "gantry-worklist";
    link.href = root + "app/";
    // Not a page of jQuery Mobile: the browser goes there itself.
    link.setAttribute("data-ajax", "false");
    link.setAttribute("data-role", "button");
    link.setAttribute("data-icon", "star");
    link.setAttribute("rel", "external");
    form.parentNode.insertBefore(link, form);
    if (window.jQuery && jQuery.fn.buttonMarkup) jQuery(link).buttonMarkup();
  }

  function line(finding) {
    var percent = typeof finding.probability === "number" ? Math.round(finding.probability * 100) + " %" : "";
    return (finding.title || finding.finding) + " " + percent +
      (finding.positive ? " (above threshold)" : " (below threshold)");
  }

  /** A list entry for jQuery Mobile's list of the study's facts. */
  function entry(found) {
    var item = element("li");
    item.id = "gantry-flag";
    item.appendChild(element("h3", "Gantry: " + (found.urgency || "no flag")));
    (found.flags || []).forEach(function (flag) {
      (flag.findings || []).forEach(function (finding) {
        item.appendChild(element("p", line(finding) + ", " + flag.state));
      });
    });
    item.appendChild(element("p", "AI result, for triage only, not for diagnosis."));
    return item;
  }

  function showFlag(study) {
    fetch(root + "studies/" + encodeURIComponent(study), { credentials: "same-origin" })
      .then(function (answer) { return answer.ok ? answer.json() : null; })
      .then(function (found) {
        var old = document.getElementById("gantry-flag");
        if (old) old.remove();
        var list = document.getElementById("study-info");
        // The reader may have gone to another study meanwhile.
        if (!found || !list || !found.flags.length || shownStudy() !== study) return;
        list.appendChild(entry(found));
        if (window.jQuery && jQuery.fn.listview) jQuery(list).listview("refresh");
      })
      // Orthanc Explorer works as well without it.
      .catch(function () {});
  }

  function shownStudy() {
    return window.jQuery && jQuery.mobile && jQuery.mobile.pageData ? jQuery.mobile.pageData.uuid : undefined;
  }

  document.addEventListener("DOMContentLoaded", addWorklistLink);
  if (window.jQuery) {
    jQuery(document).delegate("#lookup", "pageshow", addWorklistLink);
    jQuery(document).delegate("#study", "pageshow", function () {
      if (shownStudy()) showFlag(shownStudy());
    });
  }
})();
