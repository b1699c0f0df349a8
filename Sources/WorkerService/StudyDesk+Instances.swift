// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage
import Torch
import Triage
import Wire
import WorkerStore

extension StudyDesk {
    /// Commits what was learned from an instance.
    func take(_ reading: InstanceReading, _ effects: inout Effects, _ transaction: WorkerTransaction) throws {
        let arrival = reading.arrival
        guard let identity = reading.identity else {
            if case .setAside(let name, let reason) = reading.outcome {
                try transaction.saveUnreadable(
                    gateway: arrival.gateway, gatewayInstance: arrival.gatewayInstance, reasonName: name,
                    reason: reason)
                effects.setAside = true
                effects.acknowledge(arrival, .setAside, reason: reason)
            }
            return
        }
        let uid = identity.study.studyInstanceUID
        if case .ownResult = reading.outcome {
            effects.acknowledge(arrival, .ownResult, study: uid)
            return
        }
        if case .document(let document, let kind) = reading.outcome {
            return try take(document, kind, identity, arrival, &effects, transaction)
        }
        let key = StudyKey(gateway: arrival.gateway, studyInstanceUID: uid)
        let known = try transaction.instance(key, identity.sopInstanceUID)
        if known?.outcome == .scored {
            // A repeat, perhaps of an instance that was in flight twice.
            effects.acknowledge(arrival, .scored, study: uid)
            if studies[key] == nil {
                models.release(key)
                effects.repeated.insert(key)
            }
            return
        }
        try note(identity, arrival, transaction)
        var row = InstanceRow(
            study: key, sopInstanceUID: identity.sopInstanceUID, gatewayInstance: arrival.gatewayInstance,
            sopClassUID: identity.sopClassUID, seriesInstanceUID: identity.seriesInstanceUID, outcome: .scored,
            expected: identity.expected)
        switch reading.outcome {
        case .scored(let scores):
            try transaction.save(row)
            try add(scores, identity, arrival, wasKnown: known != nil, &effects, transaction)
            effects.acknowledge(arrival, .scored, study: uid)
        case .ignored(let reason):
            (row.outcome, row.reasonName, row.reason) = (.ignored, "not-taken", reason)
            try transaction.save(row)
            try count(identity, arrival, isNew: known == nil, transaction)
            effects.acknowledge(arrival, .ignored, study: uid, reason: reason)
        case .setAside(let name, let reason):
            (row.outcome, row.reasonName, row.reason) = (.setAside, name, reason)
            try transaction.save(row)
            try count(identity, arrival, isNew: known == nil, transaction)
            effects.setAside = true
            effects.acknowledge(arrival, .setAside, study: uid, reason: reason)
            if studies[key] == nil { models.release(key) }
        case .repeated:
            // It was scored when the decoder looked, and rows do not go back.
            effects.acknowledge(arrival, .scored, study: uid)
        case .ownResult, .document: break
        }
    }

    /// Puts a study on the desk as the database knows it, with its quiet period starting now.
    @discardableResult
    func open(_ key: StudyKey, _ transaction: WorkerTransaction) throws -> OpenStudy? {
        if let study = studies[key] { return study }
        guard let row = try transaction.study(key) else { return nil }
        let counts = try transaction.counts(key)
        var study = OpenStudy(
            row: row,
            completeness: Completeness(
                quiet: settings.quietPeriod(modality: row.header.modality), groups: try transaction.groups(key),
                expectedInstances: row.expectedInstances, position: ledger.time(row.gateway)),
            counts: counts, readings: [:])
        for flag in try transaction.flags(key) {
            guard let id = Hash(hex: flag.modelVersion), let version = try transaction.version(id),
                var model = try shelf.model(version, transaction)
            else { continue }
            let told = try? JSONDecoder().decode(Flag.self, from: Data(flag.document.utf8))
            // What a flag was told by stays what it is told by.
            for finding in told?.findings ?? [] {
                model.use(finding.threshold, for: finding.finding, of: finding.operatingPoint ?? .package)
            }
            var reading = try self.reading(by: model, study: key, flag: flag, transaction)
            try transaction.forEachScore(study: key, version: flag.modelVersion) { sop, instance, probabilities in
                reading.study.add(sopInstanceUID: sop, gatewayInstance: instance, probabilities: probabilities)
            }
            if let told { reading.told = Set(told.findings.filter(\.positive).map(\.finding)) }
            study.readings[id] = reading
        }
        studies[key] = study
        return study
    }

    /// Adds or updates the study's row.
    private func note(
        _ identity: InstanceReading.Identity, _ arrival: Arrival, _ transaction: WorkerTransaction
    ) throws {
        let header = identity.study
        let key = StudyKey(gateway: arrival.gateway, studyInstanceUID: header.studyInstanceUID)
        var row =
            try studies[key]?.row ?? transaction.study(key)
            ?? StudyRow(
                header: header, gateway: arrival.gateway, gatewayInstance: arrival.gatewayInstance, isOpen: false,
                isHeldOut: heldOut.contains(patientID: header.patientID, studyInstanceUID: header.studyInstanceUID),
                expectedInstances: nil, arrivedAt: arrival.receivedAt, lastInstanceAt: arrival.receivedAt)
        row.arrivedAt = min(row.arrivedAt, arrival.receivedAt)
        row.lastInstanceAt = max(row.lastInstanceAt, arrival.receivedAt)
        if let expected = identity.expected.study {
            row.expectedInstances = max(row.expectedInstances ?? 0, expected)
        }
        let isNew = try studies[key] == nil && transaction.study(key) == nil
        try transaction.save(row)
        studies[key]?.row = row
        if isNew { try transaction.takeWaitingDocuments(key, at: timepiece.unix()) }
    }

    /// An instance that no version reads still counts towards completeness of a study on the desk.
    private func count(
        _ identity: InstanceReading.Identity, _ arrival: Arrival, isNew: Bool, _ transaction: WorkerTransaction
    ) throws {
        let key = StudyKey(gateway: arrival.gateway, studyInstanceUID: identity.study.studyInstanceUID)
        guard studies[key] != nil else { return }
        studies[key]?.counts = try transaction.counts(key)
        if isNew {
            studies[key]?.completeness.add(identity.group, position: arrival.ticket.position)
        }
    }

    private func add(
        _ scores: [InstanceReading.Score], _ identity: InstanceReading.Identity, _ arrival: Arrival, wasKnown: Bool,
        _ effects: inout Effects, _ transaction: WorkerTransaction
    ) throws {
        let key = StudyKey(gateway: arrival.gateway, studyInstanceUID: identity.study.studyInstanceUID)
        let wasOnDesk = studies[key] != nil
        guard var study = try open(key, transaction) else { return }
        if !study.row.isOpen {
            study.row.isOpen = true
            try transaction.save(study.row)
        }
        for score in scores {
            let model = score.model
            var reading =
                try study.readings[model.id]
                ?? self.reading(
                    by: model, study: key,
                    flag: FlagRow(
                        study: key, modelVersion: model.id.hex, package: model.version.package.hex,
                        flag: Flag.id(studyInstanceUID: key.studyInstanceUID, version: model.id)), transaction)
            if study.readings[model.id] == nil { try transaction.save(reading.flag) }
            try transaction.saveScores(
                study: key, version: model.id.hex, sopInstanceUID: identity.sopInstanceUID,
                probabilities: score.probabilities)
            reading.study.add(
                sopInstanceUID: identity.sopInstanceUID, gatewayInstance: arrival.gatewayInstance,
                probabilities: score.probabilities)
            if reading.example.state == .ready { reading.example.state = .growing }
            examples.append(
                score.kept, to: &reading.example, shape: InputShape(model.manifest.preprocessing), transaction)
            try transaction.save(reading.example)
            study.readings[model.id] = reading
        }
        study.counts = try transaction.counts(key)
        // Opened from the database the study already counts this instance; the quiet period still starts here.
        if !wasOnDesk {
            study.completeness.touch(position: arrival.ticket.position)
        } else if !wasKnown {
            study.completeness.add(identity.group, position: arrival.ticket.position)
        }
        for (id, reading) in study.readings where !reading.study.positiveFindings.isSubset(of: reading.told) {
            study.readings[id] = try tell(reading, of: study, .preliminary, &effects, transaction)
        }
        studies[key] = study
    }

    /// The study is complete: final flags, examples ready, off the desk.
    func finish(
        _ key: StudyKey, because reason: Completeness.Reason, _ effects: inout Effects, _ transaction: WorkerTransaction
    ) throws {
        guard let study = studies[key] else { return }
        for reading in study.readings.values where reading.study.slices > 0 {
            // A model that was set aside has not seen every slice.
            if models.reasonSetAside(reading.model.version.package) != nil { continue }
            let told = try tell(reading, of: study, .final, because: reason, &effects, transaction)
            if settings.results != .off {
                try transaction.requestReport(told.flag, always: told.hasReport)
            }
            if study.row.isHeldOut {
                let probabilities = reading.study.results.map { ($0.finding, Optional($0.probability)) }
                try transaction.saveHeldOutScores(
                    key, version: reading.model.id, Dictionary(probabilities, uniquingKeysWith: { $1 }), isFlag: true)
            }
            var example = reading.example
            examples.finish(&example)
            try transaction.save(example)
        }
        try transaction.close(key)
        try examples.keepBudget(transaction)
        effects.closed.append(key)
    }

    private func reading(
        by model: LiveModel, study: StudyKey, flag: FlagRow, _ transaction: WorkerTransaction
    ) throws -> OpenStudy.Reading {
        let example =
            try transaction.example(study, package: model.version.package.hex)
            ?? ExampleRow(
                study: study, package: model.version.package.hex,
                file: UUID().uuidString.lowercased() + ".safetensors", createdAt: timepiece.unix())
        return OpenStudy.Reading(
            model: model, study: StudyReading(manifest: model.manifest), flag: flag, told: [], example: example)
    }

    private func tell(
        _ reading: OpenStudy.Reading, of study: OpenStudy, _ state: Flag.State,
        because completeness: Completeness.Reason? = nil, _ effects: inout Effects, _ transaction: WorkerTransaction
    ) throws -> OpenStudy.Reading {
        var reading = reading
        var flag = try stated(
            study.nextFlag(reading, state: state, decidedAt: timepiece.unix(), figures: figures), about: study.key,
            transaction)
        flag.completeness = completeness
        reading.told = Set(flag.findings.filter(\.positive).map(\.finding))
        reading.hasReport = state == .final && hasReport(reading.told)
        if reading.hasReport { flag.hasReport = true }
        let document = try JSONEncoder().encode(flag)
        reading.flag.revision = flag.revision
        reading.flag.state = state == .final ? .final : .preliminary
        reading.flag.document = String(decoding: document, as: UTF8.self)
        try transaction.save(reading.flag)
        effects.flags.append(reading.flag)
        return reading
    }

    /// - Parameter findings: the positive ones.
    private func hasReport(_ findings: Set<String>) -> Bool {
        settings.results == .every || settings.results == .flagged && !findings.isEmpty
    }
}
