    static let modelFile = "{{ model_file }}"
    private let environment: ORTEnv
    private let session: ORTSession

    /// Open the model.
    ///
    /// - Parameters:
    ///   - model: {{ model_file }}; nil takes the one in this package.
    ///   - threads: threads of one call.
    public init(model: URL? = nil, threads: Int32 = 1) throws {
        let file = try model ?? {{ classifier }}.resource({{ classifier }}.modelFile)
        environment = try ORTEnv(loggingLevel: .warning)
        let options = try ORTSessionOptions()
{%- if has_extensions %}
        try options.registerCustomOps(functionPointer: OrtExt.getRegisterCustomOpsFunctionPointer())
{%- endif %}
        try options.setIntraOpNumThreads(threads)
        session = try ORTSession(env: environment, modelPath: file.path, sessionOptions: options)
    }
