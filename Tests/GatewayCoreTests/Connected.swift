// SPDX-License-Identifier: GPL-3.0-or-later
import Testing

/// A gateway whose worker, played by the test, has been heard: suites that begin there inherit it.
class Connected {
    let place: Place
    let host = ScriptedHost()
    let worker: ScriptedWorker
    let gateway: OpenGateway

    init() throws {
        place = try Place()
        worker = try ScriptedWorker(place.endpoint)
        gateway = try OpenGateway(host, directory: place.directory, worker: place.endpoint)
        #expect(
            try eventually {
                try worker.listen()
                return gateway.status.description.contains("scripted")
            })
    }
}
