#include "reports/model/wording.hpp"
#include "reports/render/assets.hpp"
#include "reports/render/document.hpp"
#include "reports/render/report.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace clamor::report {
namespace {

/// Escapes, then sets what stands in `backticks` and the designs' names as code.
std::string prose(std::string_view text, const std::vector<std::string>& designs) {
  std::string out = escape_markup(text);
  for (bool open = true; out.find('`') != std::string::npos; open = !open) {
    out.replace(out.find('`'), 1, open ? "<code>" : "</code>");
  }
  for (const std::string& design : designs) {
    const std::string name = escape_markup(design);
    const std::string code = "<code>" + name + "</code>";
    for (std::size_t at = 0; (at = out.find(name, at)) != std::string::npos; at += code.size()) {
      out.replace(at, name.size(), code);
    }
  }
  return out;
}

const char* class_of(Tone tone) {
  switch (tone) {
    case Tone::plain:
      return "";
    case Tone::strong:
      return "strong";
    case Tone::good:
      return "good";
    case Tone::bad:
      return "bad";
    case Tone::muted:
      return "muted";
  }
  return "";
}

std::string header_row(const Table& table) {
  const bool grouped_columns =
      std::ranges::any_of(table.columns, [](const Column& c) { return !c.group.empty(); });
  std::string html = "<thead>";
  if (grouped_columns) {
    html += fmt::format("<tr><th rowspan=2 scope=col class=corner>{}</th>",
                        escape_markup(table.corner));
    for (std::size_t i = 0; i < table.columns.size();) {
      std::size_t end = i;
      while (end < table.columns.size() && table.columns[end].group == table.columns[i].group) {
        ++end;
      }
      html += fmt::format("<th colspan={} scope=colgroup class=group>{}</th>", end - i,
                          escape_markup(table.columns[i].group));
      i = end;
    }
    html += "</tr><tr>";
  } else {
    html += fmt::format("<tr><th scope=col class=corner>{}</th>", escape_markup(table.corner));
  }
  std::string last_group;
  for (const Column& column : table.columns) {
    const bool first = grouped_columns && column.group != last_group;
    last_group = column.group;
    html += fmt::format("<th scope=col class=\"{}{}\">", column.numeric ? "number" : "text",
                        first ? " first" : "");
    if (column.design) {
      html += fmt::format("<i class=\"swatch d{}\"></i>", *column.design % 6);
    }
    html += escape_markup(column.name) + "</th>";
  }
  return html + "</tr></thead>";
}

std::string body_row(const Table& table, const Row& row) {
  if (row.cells.empty()) {
    return fmt::format("<tr class=heading><th scope=rowgroup colspan={}>{}</th></tr>",
                       table.columns.size() + 1, escape_markup(row.name));
  }
  const std::string name = escape_markup(row.name);
  std::string html =
      "<tr><th scope=row>" + (row.code ? "<code>" + name + "</code>" : name) + "</th>";
  std::string last_group;
  for (std::size_t i = 0; i < row.cells.size(); ++i) {
    const Cell& cell = row.cells[i];
    const Column& column = table.columns[i];
    const bool first = !column.group.empty() && column.group != last_group;
    last_group = column.group;
    html += fmt::format("<td class=\"{} {}{}\">{}", column.numeric ? "number" : "text",
                        class_of(cell.tone), first ? " first" : "", escape_markup(cell.text));
    if (cell.bar) {
      html += fmt::format("<i class=\"bar d{}\" style=\"--size:{:.3f}\"></i>",
                          column.design.value_or(0) % 6, *cell.bar);
    }
    if (!cell.note.empty()) html += "<small>" + escape_markup(cell.note) + "</small>";
    html += "</td>";
  }
  return html + "</tr>\n";
}

std::string table_html(const Table& table) {
  const std::string caption = escape_markup(table.caption);
  std::string html =
      table.columns.size() > 7 ? "<div class=\"scroll wide\"><table>" : "<div class=scroll><table>";
  if (!table.folded) html += "<caption>" + caption + "</caption>";
  html += header_row(table) + "<tbody>\n";
  for (const Row& row : table.rows) html += body_row(table, row);
  html += "</tbody></table></div>\n";
  return table.folded ? "<details><summary>" + caption + "</summary>" + html + "</details>\n"
                      : html;
}

std::string chart_html(Chart chart) {
  constexpr const char* noscript =
      "<noscript><p class=muted>Charts need JavaScript; their figures stand in the tables."
      "</p></noscript>";
  switch (chart) {
    case Chart::none:
      return "";
    case Chart::percentiles:
      return fmt::format(
          "<div class=legend data-legend></div><div class=choice id=metric-choice role=group "
          "aria-label=\"Which latency\"></div><figure id=percentiles class=chart role=img "
          "aria-label=\"Latency against percentile for every design, live and "
          "simulated\"></figure>{}\n",
          noscript);
    case Chart::time_series:
      return fmt::format(
          "<div class=legend data-legend></div><div id=series class=panels></div>{}\n", noscript);
  }
  return "";
}

std::string section_html(const Section& section, const Document& document) {
  std::string html =
      fmt::format("<section id=\"{}\"><h2>{}</h2>\n", section.id, escape_markup(section.title));
  for (const std::string& paragraph : section.paragraphs) {
    html += "<p>" + prose(paragraph, document.designs) + "</p>\n";
  }
  if (section.id == "reproduce" && !document.command.empty()) {
    html += "<pre class=command>" + escape_markup(document.command) + "</pre>\n";
  }
  html += chart_html(section.chart);
  for (const Table& table : section.tables) html += table_html(table);
  return html + "</section>\n";
}

std::string head_html(const Document& document) {
  // The policy makes "no external request" a fact, whatever a name in the data tries.
  return fmt::format(
      "<!doctype html>\n<html lang=en><head><meta charset=utf-8>\n"
      "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; "
      "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n"
      "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=color-scheme content=\"light dark\">\n<link rel=icon href=\"data:,\">\n"
      "<title>{}: {} · Clamor</title>\n<style>{}\n{}</style></head>\n",
      escape_markup(document.title), escape_markup(document.headline), uplot_css, report_css);
}

std::string masthead_html(const Document& document) {
  std::string html = fmt::format(
      "<header><p class=kicker>Clamor · {} · {}</p>\n<h1>{}</h1>\n<p class=\"badge {}\">{}</p>\n",
      escape_markup(document.title), escape_markup(document.started_utc),
      prose(document.headline, document.designs), document.passed ? "good" : "bad", document.badge);
  for (const std::string& sentence : document.verdict) {
    html += "<p class=verdict>" + prose(sentence, document.designs) + "</p>\n";
  }
  html += "<p class=region>" + prose(document.region, {});
  if (!document.crossover.empty()) html += " " + prose(document.crossover, document.designs);
  html += "</p>\n";
  if (!document.description.empty()) {
    html += "<p class=muted>The scenario: " + escape_markup(document.description) + "</p>\n";
  }
  html += "<ul class=caveats>";
  for (const std::string& caveat : document.caveats) html += "<li>" + prose(caveat, {}) + "</li>\n";
  return html + "</ul></header>\n";
}

/// JSON inside a script element must not end it.
std::string inside_script(std::string json) {
  for (std::size_t at = 0; (at = json.find('<', at)) != std::string::npos; at += 6) {
    json.replace(at, 1, "\\u003c");
  }
  return json;
}

}  // namespace

std::string escape_markup(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        if (byte >= 0x20 || c == '\n' || c == '\t') out += c;
    }
  }
  return out;
}

std::string html_report(std::span<const RunResult> runs, const Crossover* crossover) {
  const Document document = build_document(runs, crossover);
  std::string html = head_html(document) + "<body><main>\n" + masthead_html(document);
  html += "<nav aria-label=Sections>";
  for (const Section& section : document.sections) {
    html += fmt::format("<a href=\"#{}\">{}</a> ", section.id, escape_markup(section.title));
  }
  html += "</nav>\n";
  for (const Section& section : document.sections) html += section_html(section, document);
  html += fmt::format(
      "<footer>Written by Clamor {}. Nothing on this page is loaded from "
      "elsewhere.</footer>\n</main>\n",
      escape_markup(runs.front().environment.clamor_version));
  html += "<script type=\"application/json\" id=data>" + inside_script(chart_data(runs)) +
          "</script>\n";
  html += fmt::format("<script>{}</script>\n<script>{}</script>\n</body></html>\n", uplot_js,
                      report_js);
  return html;
}

}  // namespace clamor::report
