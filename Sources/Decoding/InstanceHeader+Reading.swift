// SPDX-License-Identifier: GPL-3.0-or-later
import Imaging

extension InstanceHeader {
    init(_ instance: DicomInstance) {
        self.init(
            studyInstanceUID: instance.studyInstanceUID, sopInstanceUID: instance.sopInstanceUID,
            sopClassUID: instance.sopClassUID, modality: instance.modality, bodyPart: instance.bodyPart,
            patientID: instance.patientID, patientName: instance.patientName, birthDate: instance.birthDate,
            accessionNumber: instance.accessionNumber, studyDate: instance.studyDate,
            studyDescription: instance.studyDescription,
            numberOfStudyRelatedInstances: instance.numberOfStudyRelatedInstances,
            image: instance.image.map {
                Image(
                    frames: $0.numberOfFrames, rows: $0.rows, columns: $0.columns,
                    samplesPerFrame: $0.rows * $0.columns * $0.samplesPerPixel)
            }, seriesInstanceUID: instance.seriesInstanceUID, manufacturer: instance.manufacturer,
            instanceNumber: instance.instanceNumber,
            numberOfSeriesRelatedInstances: instance.numberOfSeriesRelatedInstances,
            imagesInAcquisition: instance.imagesInAcquisition, acquisitionNumber: instance.acquisitionNumber,
            stationName: instance.stationName)
    }
}
