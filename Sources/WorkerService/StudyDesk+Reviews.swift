// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Statements
import Wire
import WorkerStore

/// A radiologist's verdict as the gateway sends it.
struct Review: Decodable {
    enum Verdict: String, Decodable { case agree, disagree, withdraw }

    var review: String
    var study: String
    var finding: String
    var verdict: Verdict
    var reviewer: String
    var role: String?
    /// Unix milliseconds UTC.
    var at: Int64
    /// What the flag said that the verdict is about.
    var positive: Bool

    enum CodingKeys: String, CodingKey {
        case review, study, finding, verdict, reviewer, role, positive
        case at = "at_ms"
    }

    /// Somebody whom the gateway has not authenticated is not the account of the same name.
    var isAuthenticated: Bool { role?.lowercased() != CodeMap.unauthenticatedRole }

    /// Agreeing with a positive flag and disagreeing with a negative one both say that the finding is there.
    var saysPresent: Bool { (verdict == .agree) == positive }
}

extension StudyDesk {
    /// Turns a review into a label, once; a repeat gets the same answer.
    func takeReview(
        gateway: String, id: String, document: Data, _ effects: inout Effects, _ transaction: WorkerTransaction
    ) throws {
        func answer(_ isAccepted: Bool, _ reason: String) {
            effects.reviewAnswers.append(
                .init(gateway: gateway, review: id, isAccepted: isAccepted, reason: String(reason.prefix(1000))))
        }
        if let before = try transaction.review(id) { return answer(before.isAccepted, before.reason) }
        let review: Review
        do {
            review = try JSONDecoder().decode(Review.self, from: document)
        } catch {
            let reason = "the review is not readable: \(Self.problem(error))"
            try transaction.saveReview(id, isAccepted: false, reason: reason, at: timepiece.unix())
            return answer(false, reason)
        }
        let study = StudyKey(gateway: gateway, studyInstanceUID: review.study)
        guard try transaction.study(study) != nil else {
            // Not kept: once the gateway has given the study back, the review is good.
            return answer(false, "\(ToGateway.unknownStudy): the study is not known to this worker")
        }
        let refusal =
            try review.verdict == .withdraw
            ? withdraw(review, of: study, transaction) : label(review, of: study, transaction)
        if refusal == nil { effects.hasNewLabels = true }
        try transaction.saveReview(id, isAccepted: refusal == nil, reason: refusal ?? "", at: timepiece.unix())
        answer(refusal == nil, refusal ?? "")
    }

    /// Nil when the verdict is a label now, else why not.
    private func label(_ review: Review, of study: StudyKey, _ transaction: WorkerTransaction) throws -> String? {
        if let refusal = try transaction.labelRefusal(study, finding: review.finding) { return refusal }
        // Of a document without a role its signature is enough; a verdict without one is anybody's.
        let role = review.role ?? ""
        let isAuthoritative = !role.isEmpty && codes.isAuthoritative(role: role)
        try transaction.add(
            Label(
                study: study, finding: review.finding, isPresent: review.saysPresent, source: .review,
                reader: review.reviewer, role: role, at: review.at, isAuthoritative: isAuthoritative))
        return nil
    }

    /// The reviewer takes back their last verdict on this finding; what was said before counts again.
    ///
    /// - Returns: nil when there was one, else why not.
    private func withdraw(_ review: Review, of study: StudyKey, _ transaction: WorkerTransaction) throws -> String? {
        let last = try transaction.labelHistory(study).last {
            $0.source == .review && $0.finding == review.finding && $0.reader == review.reviewer
                && ($0.role.lowercased() != CodeMap.unauthenticatedRole) == review.isAuthenticated
                && $0.withdrawnAt == nil && $0.at <= review.at
        }
        guard let last else { return "this reviewer has said nothing about this finding that could be withdrawn" }
        try transaction.withdraw(last, at: review.at)
        return nil
    }

    /// Which key is wrong, without its value.
    private static func problem(_ error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, _): "the key \(key.stringValue) is missing"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
            DecodingError.dataCorrupted(let context):
            context.codingPath.isEmpty
                ? "it is not JSON"
                : "the value of \(context.codingPath.map(\.stringValue).joined(separator: ".")) is not allowed"
        default: "it is not JSON"
        }
    }
}
