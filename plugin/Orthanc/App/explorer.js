// SPDX-License-Identifier: GPL-3.0-or-later
// Orthanc Explorer: a way to the worklist from its first page, and the flag of each study on the study's own page and in
// every list of studies.
(function () {
  "use strict";
  // Relative to /app/explorer.html, so that it works behind any path prefix.
  var root = "../gantry/";
  var lists = "#all-studies, #list-studies, #lookup-result ul";
  // Studies of a list that the worklist no longer holds are asked for one by one, up to so many.
  var mostQuestions = 50;
  var listMilliseconds = 5000;
  // Bars that fill with the urgency, beside the word: not by colour alone.
  var marks = { critical: "▮▮▮", urgent: "▮▮▯", routine: "▮▯▯", none: "▯▯▯" };
  // On the light background of lists and on the dark one of a study's facts.
  var colours = {
    light: { critical: "#b3211a", urgent: "#854900", routine: "#0b57a8", none: "#4d5966" },
    dark: { critical: "#ff9a8e", urgent: "#ffc069", routine: "#9fd0ff", none: "#ffffff" },
  };

  /** Everything shown goes through textContent, so that no name can become markup. */
  function element(tag, text) {
    var made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function ask(path) {
    return fetch(root + path, { credentials: "same-origin", cache: "no-store" })
      .then(function (answer) { return answer.ok ? answer.json() : null; });
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

  function percent(finding) {
    return typeof finding.probability === "number" ? Math.round(finding.probability * 100) + " %" : "";
  }

  function urgencyLine(tag, urgency, background) {
    var made = element(tag);
    var mark = element("span", (marks[urgency] || "") + " ");
    mark.setAttribute("aria-hidden", "true");
    made.appendChild(mark);
    made.appendChild(document.createTextNode("Gantry: " + (urgency === "none" ? "no finding" : urgency || "no flag")));
    made.style.color = colours[background][urgency] || "";
    return made;
  }

  // The study's own page

  function line(finding) {
    return (finding.title || finding.finding) + " " + percent(finding) +
      (finding.positive ? " (above threshold)" : " (below threshold)");
  }

  /** A list entry for jQuery Mobile's list of the study's facts. */
  function entry(found, study) {
    var item = element("li");
    item.id = "gantry-flag";
    item.appendChild(urgencyLine("h3", found.urgency, "dark"));
    (found.flags || []).forEach(function (flag) {
      (flag.findings || []).forEach(function (finding) {
        item.appendChild(element("p", line(finding) + ", " + flag.state));
      });
      if (flag.unreadable) item.appendChild(element("p", "unreadable flag, " + flag.state));
      var known = flag.model && flag.model.intended_use;
      var model = element("p", known ? (flag.model.title || flag.model.name) + ": " + flag.model.intended_use : "");
      model.style.whiteSpace = "normal";
      item.appendChild(model);
    });
    item.appendChild(element("p", "AI result, for triage only, not for diagnosis."));
    var link = element("a", "Show in the worklist");
    link.href = root + "app/#study=" + encodeURIComponent(study);
    link.setAttribute("rel", "external");
    link.setAttribute("data-ajax", "false");
    link.style.color = colours.dark.routine;
    var place = element("p");
    place.appendChild(link);
    item.appendChild(place);
    return item;
  }

  function showFlag(study) {
    ask("studies/" + encodeURIComponent(study))
      .then(function (found) {
        var old = document.getElementById("gantry-flag");
        if (old) old.remove();
        var list = document.getElementById("study-info");
        // The reader may have gone to another study meanwhile.
        if (!found || !list || !found.flags.length || shownStudy() !== study) return;
        list.appendChild(entry(found, study));
        if (window.jQuery && jQuery.fn.listview) jQuery(list).listview("refresh");
      })
      // Orthanc Explorer works as well without it.
      .catch(function () {});
  }

  function shownStudy() {
    return window.jQuery && jQuery.mobile && jQuery.mobile.pageData ? jQuery.mobile.pageData.uuid : undefined;
  }

  // Lists of studies

  var worklist = null;
  var worklistAt = 0;

  /** Flags by Orthanc's id of the study, at most some seconds old. */
  function askWorklist() {
    if (worklist && Date.now() - worklistAt < listMilliseconds) return worklist;
    worklistAt = Date.now();
    worklist = ask("worklist").then(function (answer) {
      var flags = {};
      ((answer && answer.studies) || []).forEach(function (study) {
        if (study.gateway_study) flags[study.gateway_study] = study;
      });
      return flags;
    });
    return worklist;
  }

  function mark(anchor, flag) {
    if (!flag || anchor.querySelector(".gantry-flag")) return;
    var made = urgencyLine("p", flag.urgency, "light");
    made.className = "gantry-flag";
    made.style.fontWeight = "bold";
    var words = (flag.findings || []).filter(function (finding) { return finding.positive; })
      .map(function (finding) { return (finding.title || finding.finding) + " " + percent(finding); });
    if (words.length) made.appendChild(document.createTextNode(", " + words.join(", ")));
    if (flag.state === "preliminary") made.appendChild(document.createTextNode(" (preliminary)"));
    anchor.appendChild(made);
  }

  /** A study's own document as a row of the worklist. */
  function summary(found) {
    var first = found && found.flags && found.flags[0];
    return first ? { urgency: found.urgency, findings: first.findings, state: first.state } : null;
  }

  function markList(list) {
    var anchors = [].slice.call(list.querySelectorAll('a[href*="#study?uuid="]')).filter(function (anchor) {
      // Each entry once: what is added below would otherwise look like a new list.
      if (anchor.dataset.gantry) return false;
      anchor.dataset.gantry = anchor.getAttribute("href").split("uuid=")[1];
      return true;
    });
    if (!anchors.length) return;
    askWorklist().then(function (flags) {
      var others = anchors.filter(function (anchor) {
        mark(anchor, flags[anchor.dataset.gantry]);
        return !flags[anchor.dataset.gantry];
      }).slice(0, mostQuestions);
      return others.reduce(function (before, anchor) {
        return before.then(function () {
          return document.contains(anchor) && ask("studies/" + encodeURIComponent(anchor.dataset.gantry));
        }).then(function (found) { mark(anchor, summary(found)); });
      }, Promise.resolve());
    }).catch(function () {});
  }

  function watchLists() {
    [].forEach.call(document.querySelectorAll(lists), function (list) {
      new MutationObserver(function () { markList(list); }).observe(list, { childList: true });
      markList(list);
    });
  }

  document.addEventListener("DOMContentLoaded", function () {
    addWorklistLink();
    watchLists();
  });
  if (window.jQuery) {
    jQuery(document).delegate("#lookup", "pageshow", addWorklistLink);
    jQuery(document).delegate("#study", "pageshow", function () {
      if (shownStudy()) showFlag(shownStudy());
    });
  }
})();
