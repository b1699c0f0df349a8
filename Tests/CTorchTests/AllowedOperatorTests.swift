// SPDX-License-Identifier: GPL-3.0-or-later
import CTorch
import Foundation
import Testing

/// Every operator that this libtorch has, against the list of those that a model may use.
struct AllowedOperatorTests {
    private struct Operator {
        /// Such as `aten::add.Tensor(Tensor self, …) -> Tensor`.
        var schema: String
        var isAllowed: Bool
        /// Without its overload.
        var name: String { String(schema.prefix { $0 != "(" && $0 != "." }) }
        var arguments: String { String(schema.drop { $0 != "(" }) }
    }

    private static let operators: [Operator] = {
        var operators: [Operator] = []
        var schema = [CChar](repeating: 0, count: 8192)
        var isAllowed: Int32 = 0
        while gantry_torch_operator(operators.count, &schema, schema.count, &isAllowed) == 0 {
            let text = String(decoding: schema.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            operators.append(Operator(schema: text, isAllowed: isAllowed != 0))
        }
        return operators
    }()

    /// Allowed operators with a text among their arguments: how to round, to pad, to reduce, and what texts are made of.
    /// None of these texts is a place.
    private static let lookedAt = Set(
        """
        Delete Float Int __contains__ __getitem__ __interpolate __upsample _convolution_mode _set_item add align_to
        all any argsort bin capitalize cat center chr clear concat concatenate conv1d conv2d conv3d copy count cummax
        cummin cumprod cumprod_ cumsum cumsum_ device diagonal dict div div_ divide divide_ einsum empty endswith eq
        expandtabs fft_fft fft_fft2 fft_fftn fft_hfft fft_hfft2 fft_hfftn fft_ifft fft_ifft2 fft_ifftn fft_ihfft
        fft_ihfft2 fft_ihfftn fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2 fft_rfftn find flatten format full
        gather ge gelu gelu_ get gt hex index index_add index_copy_ index_fill index_fill_ index_reduce index_reduce_
        index_select isalnum isalpha isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle
        isupper items join keys kthvalue le len linalg_cond linalg_eigh linalg_eigvalsh linalg_lstsq
        linalg_matrix_norm linalg_norm linalg_qr linalg_svd linalg_svdvals list ljust log_softmax logcumsumexp
        logsumexp lower lstrip lt max mean median meshgrid min mode nanmedian nanquantile ne norm oct ones ord pad
        partition percentFormat pop popitem prod quantile rand randn refine_names remove rename rename_ replace rfind
        rindex rjust rpartition rsplit rstrip scatter scatter_ scatter_add scatter_reduce scatter_reduce_ searchsorted
        segment_reduce select setdefault size slice softmax sort sorted split splitlines squeeze squeeze_ startswith
        std std_mean stft str stride strip sum swapcase title transpose unbind unflatten update upper values var
        var_mean warn zeros zfill
        """.split { $0 == " " || $0 == "\n" }.map { "aten::\($0)" })

    @Test func `Computing is allowed`() {
        #expect(Self.operators.count > 2000)
        let allowed = Set(Self.operators.filter(\.isAllowed).map(\.name))
        for name in ["conv2d", "batch_norm", "relu_", "linear", "layer_norm", "softmax", "max_pool2d", "einsum"] {
            #expect(allowed.contains("aten::\(name)"))
        }
        #expect(allowed.count < 1500)
    }

    @Test func `What reaches files, memory by address, threads, devices or other back ends is refused`() {
        let allowed = Set(Self.operators.filter(\.isAllowed).map(\.name))
        for name in [
            "aten::from_file", "aten::save", "aten::set_", "aten::set_data", "aten::as_strided", "aten::as_strided_",
            "aten::resize_", "aten::_reshape_alias", "aten::empty_strided", "aten::wait", "aten::backward",
            "aten::grad",
            "aten::record_stream", "aten::pin_memory", "prim::Print", "prim::id", "prim::IgnoredPythonOp",
        ] {
            #expect(!allowed.contains(name), "\(name)")
        }
    }

    @Test func `Only two name spaces are allowed`() {
        let spaces = Set(Self.operators.filter(\.isAllowed).map { $0.name.prefix { $0 != ":" } })
        #expect(spaces == ["aten", "prim"])
    }

    @Test func `No operator is allowed that takes a text, unless somebody has looked at it`() {
        for found in Self.operators where found.isAllowed && found.name.hasPrefix("aten::") {
            guard found.arguments.contains(/\bstr\b/) else { continue }
            #expect(Self.lookedAt.contains(found.name), "\(found.schema)")
        }
    }

    @Test func `No operator is allowed that takes a file, a storage, a stream or an object of C++`() {
        for found in Self.operators where found.isAllowed {
            let suspicious = /file|str path|url|socket|Storage|Stream|torch\.classes|AnyClass/
            #expect(!found.arguments.contains(suspicious), "\(found.schema)")
        }
    }
}
