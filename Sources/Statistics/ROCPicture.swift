// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// A ROC curve as an SVG file that needs nothing else: the curve, at each specificity the 95 % interval of its
/// sensitivity, and one operating point with the intervals of both figures. It follows the reader's light or dark scheme.
public struct ROCPicture: Sendable {
    private static let width = 560.0
    private static let left = 76.0
    private static let top = 64.0
    private static let side = 420.0
    private static let lineHeight = 18.0

    private let curve: ROCCurve
    private let threshold: Double
    private let title: String
    private let subtitle: String
    private let caption: [String]

    /// - Parameters:
    ///   - threshold: the operating point that is marked.
    ///   - title: up to about 60 characters, as is the subtitle.
    ///   - caption: lines below the plot, up to about 80 characters each.
    public init(_ curve: ROCCurve, threshold: Double, title: String, subtitle: String, caption: [String]) {
        self.curve = curve
        self.threshold = threshold
        self.title = title
        self.subtitle = subtitle
        self.caption = caption
    }

    public var svg: String {
        let height = Self.top + Self.side + 62 + Double(caption.count) * Self.lineHeight + 14
        return """
            <?xml version="1.0" encoding="UTF-8"?>
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Int(Self.width)) \(Int(height))" \
            width="\(Int(Self.width))" height="\(Int(height))" role="img" aria-labelledby="title description">
            <title id="title">\(Self.escaped(title))</title>
            <desc id="description">\(Self.escaped(caption.joined(separator: " ")))</desc>
            <style>
            svg { color-scheme: light dark; --paper: #ffffff; --ink: #1b1f23; --grid: #d9dde1; --curve: #0b5cad; --point: #b3261e }
            @media (prefers-color-scheme: dark) {
            svg { --paper: #14171a; --ink: #e8eaed; --grid: #3b4046; --curve: #7ab8ff; --point: #ff8a80 }
            }
            text { font: 13px sans-serif; fill: var(--ink) }
            .head { font-size: 16px; font-weight: 600 }
            .grid { stroke: var(--grid); fill: none }
            .chance { stroke: var(--ink); stroke-dasharray: 4 5; opacity: 0.5 }
            .band { fill: var(--curve); fill-opacity: 0.2 }
            .curve { stroke: var(--curve); stroke-width: 2.5; fill: none; stroke-linejoin: round }
            .point { stroke: var(--point); stroke-width: 2.5; fill: var(--paper) }
            </style>
            <rect width="100%" height="100%" style="fill: var(--paper)"/>
            <text class="head" x="24" y="26">\(Self.escaped(title))</text>
            <text x="24" y="46">\(Self.escaped(subtitle))</text>
            \(grid)
            <path class="band" d="\(band)"/>
            <path class="curve" d="\(line(steps.map { ($0.x, $0.y) }))"/>
            \(mark)
            \(words(below: Self.top + Self.side + 62))
            </svg>

            """
    }

    // MARK: The curve

    private struct Step {
        /// Share of the negatives that is flagged.
        var x: Double
        /// Share of the positives that is flagged.
        var y: Double
        var interval: ClosedRange<Double>
    }

    private var steps: [Step] {
        let points =
            [(0, 0)] + curve.points.map { ($0.truePositives, $0.falsePositives) } + [(curve.positives, curve.negatives)]
        return points.compactMap { truePositives, falsePositives in
            guard let sensitivity = Proportion(truePositives, of: curve.positives),
                let flagged = Proportion(falsePositives, of: curve.negatives)
            else { return nil }
            return Step(x: flagged.value, y: sensitivity.value, interval: sensitivity.interval)
        }
    }

    private var band: String {
        let steps = steps
        return line(
            steps.map { ($0.x, $0.interval.upperBound) } + steps.reversed().map { ($0.x, $0.interval.lowerBound) })
            + " Z"
    }

    private var mark: String {
        let figures = curve.figures(at: threshold)
        guard let sensitivity = figures.sensitivity, let specificity = figures.specificity else { return "" }
        let (x, y) = (1 - specificity.value, sensitivity.value)
        let high = line([(x, sensitivity.interval.lowerBound), (x, sensitivity.interval.upperBound)])
        let wide = line([(1 - specificity.interval.upperBound, y), (1 - specificity.interval.lowerBound, y)])
        return """
            <path class="point" d="\(high) \(wide)"/>
            <circle class="point" cx="\(Self.text(column(x)))" cy="\(Self.text(row(y)))" r="6"/>
            """
    }

    // MARK: Paper

    private var grid: String {
        var parts: [String] = []
        let bottom = Self.top + Self.side
        for percent in stride(from: 0, through: 100, by: 20) {
            let (x, y) = (column(Double(percent) / 100), row(Double(percent) / 100))
            parts.append(
                "<path class=\"grid\" d=\"\(line([(Double(percent) / 100, 0), (Double(percent) / 100, 1)]))\"/>")
            parts.append(
                "<path class=\"grid\" d=\"\(line([(0, Double(percent) / 100), (1, Double(percent) / 100)]))\"/>")
            parts.append(
                "<text x=\"\(Self.text(x))\" y=\"\(Self.text(bottom + 18))\" text-anchor=\"middle\">\(percent)</text>")
            parts.append(
                "<text x=\"\(Self.text(Self.left - 8))\" y=\"\(Self.text(y + 4))\" text-anchor=\"end\">\(percent)</text>"
            )
        }
        parts.append("<path class=\"chance\" d=\"\(line([(0, 0), (1, 1)]))\"/>")
        parts.append(
            """
            <text x="\(Self.text(column(0.5)))" y="\(Self.text(bottom + 40))" text-anchor="middle">Flagged, of 100 \
            studies without it</text>
            <text transform="translate(24 \(Self.text(row(0.5)))) rotate(-90)" text-anchor="middle">Flagged, of 100 \
            studies with it</text>
            """)
        return parts.joined(separator: "\n")
    }

    private func words(below top: Double) -> String {
        caption.enumerated().map { index, text in
            let y = top + 8 + Double(index) * Self.lineHeight
            return "<text x=\"24\" y=\"\(Self.text(y))\">\(Self.escaped(text))</text>"
        }.joined(separator: "\n")
    }

    private func column(_ x: Double) -> Double { Self.left + x * Self.side }

    private func row(_ y: Double) -> Double { Self.top + (1 - y) * Self.side }

    private func line(_ points: [(Double, Double)]) -> String {
        points.enumerated().map { index, point in
            "\(index == 0 ? "M" : "L")\(Self.text(column(point.0))) \(Self.text(row(point.1)))"
        }.joined(separator: " ")
    }

    private static func text(_ value: Double) -> String { String(format: "%.1f", value) }

    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;")
    }
}
