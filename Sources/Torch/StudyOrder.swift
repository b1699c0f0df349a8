// SPDX-License-Identifier: GPL-3.0-or-later

/// The order in which an epoch takes the studies: random, but with every kind of label spread evenly.
///
/// A step sees two or three studies. Where chance puts several of one kind into it, the step mostly moves the threshold and
/// the next ones move it back; with few studies and few epochs that costs most of what there is to learn.
enum StudyOrder {
    static func shuffled(
        _ examples: [TrainingExample], _ random: inout SplitMix64
    ) -> [TrainingExample] {
        var places: [(place: Double, tie: UInt64, example: TrainingExample)] = []
        let kinds = Dictionary(grouping: examples.indices) { examples[$0].labels }
        for members in kinds.values.sorted(by: { $0[0] < $1[0] }) {
            for (index, member) in members.shuffled(using: &random).enumerated() {
                let place = (Double(index) + 0.5) / Double(members.count)
                places.append((place, random.next(), examples[member]))
            }
        }
        return places.sorted { ($0.place, $0.tie) < ($1.place, $1.tie) }.map(\.example)
    }
}
