// SPDX-License-Identifier: GPL-3.0-or-later

/// Federated averaging in synchronous rounds: McMahan, Moore, Ramage, Hampson, Agüera y Arcas, “Communication-Efficient
/// Learning of Deep Networks from Decentralized Data”, AISTATS 2017, algorithm 1.
///
/// All sites that are ready are asked (C = 1 in the paper): a federation of hospitals has few, and each label counts.
public struct FederatedAveraging: Strategy {
    public let name = "fedavg"
    public let aggregator: any Aggregator = WeightedMean()

    public init() {}
}
