// SPDX-License-Identifier: GPL-3.0-or-later

/// What an instance says about how many there are. Counts of 0 and less say nothing.
public struct ExpectedCounts: Sendable, Equatable {
    /// NumberOfStudyRelatedInstances (0020,1208).
    public var study: Int?
    /// NumberOfSeriesRelatedInstances (0020,1209).
    public var series: Int?
    /// ImagesInAcquisition (0020,1002).
    public var acquisition: Int?
    /// AcquisitionNumber (0020,0012), within the instance's series; matters where `acquisition` is known.
    public var acquisitionNumber: Int?

    public init(study: Int? = nil, series: Int? = nil, acquisition: Int? = nil, acquisitionNumber: Int? = nil) {
        func known(_ count: Int?) -> Int? { count.flatMap { $0 > 0 ? $0 : nil } }
        self.study = known(study)
        self.series = known(series)
        self.acquisition = known(acquisition)
        self.acquisitionNumber = acquisitionNumber
    }
}
