// SPDX-License-Identifier: GPL-3.0-or-later
import Testing

@testable import Wire

@Suite struct ReceiptBookTests {
    @Test func `what was acknowledged and is still there is held`() {
        var book = ReceiptBook(state: "a")
        book.serial = 5
        #expect(book.holds(Receipt(state: "a", serial: 5)))
        #expect(!book.holds(Receipt(state: "a", serial: 6)), "the commit was lost")
        #expect(!book.holds(Receipt(state: "b", serial: 5)), "another database")
        #expect(book.mayHold(Receipt(state: "a", serial: 6)), "a commit after the hello")
    }

    @Test func `the numbers of lost commits stay void whatever is acknowledged later`() {
        // 50 were acknowledged, the last 10 commits are lost with the log's tail.
        var book = ReceiptBook(state: "a", serial: 40)
        book.jump(1_000)
        book.serial += 100
        for serial in Int64(41)...50 {
            #expect(!book.holds(Receipt(state: "a", serial: serial)))
            #expect(!book.mayHold(Receipt(state: "a", serial: serial)))
        }
        #expect(book.holds(Receipt(state: "a", serial: 40)))
        #expect(book.holds(Receipt(state: "a", serial: 1_041)))
    }

    @Test func `a jump that is lost itself does not bring its numbers back`() {
        let committed = ReceiptBook(state: "a", serial: 40)
        for _ in 0..<200 {
            var lost = committed
            lost.jump()
            let receipt = Receipt(state: "a", serial: lost.serial + 3)
            var next = committed
            next.jump()
            next.serial += 10
            #expect(!next.holds(receipt))
        }
    }

    @Test func `openings without acknowledgements share one void, and the list is bounded`() {
        var book = ReceiptBook(state: "a", serial: 7)
        for _ in 0..<5 { book.jump(10) }
        #expect(book.voids == [8...57])
        for _ in 0..<200 {
            book.serial += 1
            book.jump()
        }
        #expect(book.voids.count == ReceiptBook.mostVoids)
        #expect(book.voidsText.utf8.count < Envelope.longestFieldBytes)
        #expect(ReceiptBook(state: "a", serial: book.serial, voids: book.voidsText) == book)
    }

    @Test(arguments: ["1", "1-", "-1-2", "9-3", "a-b", "1-2-3", "1-99999999999999999999"])
    func `voids that are none are refused`(_ text: String) {
        #expect(ReceiptBook(state: "a", serial: 1, voids: text) == nil)
    }
}
